"""``gpu.json`` as a page."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

GB = 1e9
TITLES = {
    "patch_embed": "Patch embedding (1536 → 1024)",
    "step": "Supervised step of Qwen3-VL-2B, random weights",
    "dpo": "DPO log-probabilities",
    "linear_ce": "Linear cross-entropy, forward and backward, bfloat16, V = 151,936",
}
NOTES = {
    "patch_embed": "`error`: relative, against float64. Convolutions use TF32 for float32 by PyTorch's default, matrix "
    "products do not; compare the bfloat16 rows, which are what trainers run.",
    "step": "Tokens are those of the samples, without padding. MFU: operations the loss needs (6 per weight and row, "
    "causal attention, the head at supervised tokens only; the same for every arm, see `Needs` in `model_2b.py`) over "
    "time and peak rate. Peak memory is all that is allocated: weights, gradients, optimizer, activations. `curve`: "
    "losses and gradient norms of the first steps beside the first arm's.",
    "dpo": "Milliseconds and bytes above the start; `difference`: largest of a sequence's log-probability, relative to "
    "the largest of LLaMA-Factory's way.",
    "linear_ce": "Bytes above the start with gradients. `ours` predicted: dW in float32 and bfloat16, the gradient of "
    "hidden states, one chunk of logits (Triton: in bfloat16 only); `hf`: three float32 tensors of logits. Errors: "
    "loss, dH, dW against float32 logits, at the smallest N.",
}


def page(content: dict[str, Any]) -> str:
    """The whole page."""
    tiny = content.get("tiny")
    lines = ["# GPU", "", f"`{content['command']}`, begun {content['begun']}.", ""]
    if tiny:
        lines += ["Toy sizes: these rows show that the script runs; they say nothing about speed or memory.", ""]
    lines += [f"Machine: {content.get('machine', 'not known yet')}.", ""]
    lines += [", ".join(f"{name} {found}" for name, found in content["versions"].items()) + ".", ""]
    lines += ["Times: median [range] of interleaved rounds after warm-up, between events on the GPU."]
    for section in content["sections"]:
        rows = [row for row in content["rows"] if row["section"] == section]
        lines += ["", f"## {TITLES[section]}", "", NOTES[section], ""]
        lines += step_table(rows, content) if section == "step" else table(rows)
    return "\n".join(lines)


def spread(ms: Sequence[float] | None) -> str:
    """Median and range."""
    return f"{statistics.median(ms):.3g} [{min(ms):.3g}, {max(ms):.3g}]" if ms else ""


def size(count: float | None) -> str:
    """Bytes in GB."""
    return "" if count is None else f"{count / GB:.2f}"


HIDDEN = ("section", "ms", "extra_bytes", "predicted_bytes", "state")


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Case, side, state, ms and memory; a column for every other key."""
    keys = list(dict.fromkeys(key for row in rows for key in row if key not in HIDDEN))
    predicted = any("predicted_bytes" in row for row in rows)
    head = [*keys, "ms", "extra GB", *(["predicted GB"] if predicted else []), "state"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row in rows:
        cells = [_cell(row.get(key)) for key in keys]
        cells += [spread(row.get("ms")), size(row.get("extra_bytes"))]
        cells += [size(row.get("predicted_bytes"))] if predicted else []
        lines.append("| " + " | ".join([*cells, _cell(row["state"])]) + " |")
    return lines


def step_table(rows: Sequence[dict[str, Any]], content: dict[str, Any]) -> list[str]:
    """Throughput, MFU and memory of each arm, then the curves side by side."""
    head = ["arm", "ms per step", "supervised tokens/s", "tokens/s", "MFU", "peak GB", "curve", "patches", "state"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    arms = [row for row in rows if "losses" in row]
    for row in rows:
        ms = row.get("ms")
        seconds = statistics.median(ms) / 1e3 if ms else None
        rate = [f"{row[key] / seconds:,.0f}" for key in ("supervised", "tokens")] if seconds else ["", ""]
        mfu = f"{row['operations'] / seconds / content['peak_tflops'] / 1e12:.1%}" if seconds else ""
        patches = "; ".join(f"{name}: {what}" for name, what in row.get("patches", {}).items())
        cells = [row.get("arm", "all"), spread(ms), *rate, mfu, size(row.get("peak_bytes"))]
        lines.append("| " + " | ".join(_cell(x) for x in [*cells, row.get("curve", ""), patches, row["state"]]) + " |")
    lines += ["", f"Peak rate taken for MFU: {content['peak_tflops']:,.0f} TFLOP/s (dense bfloat16)."]
    if arms:
        limits = ", ".join(f"{name} {limit:.1%}" for name, limit in arms[0]["tolerance"].items())
        lines += ["", f"Losses (gradient norms) of the first steps; may differ by {limits}:", ""]
        lines += ["| step | " + " | ".join(row["arm"] for row in arms) + " |", "|---" * (len(arms) + 1) + "|"]
        for index in range(min(len(row["losses"]) for row in arms)):
            cells = [f"{row['losses'][index]:.4f} ({row['gradient_norms'][index]:.3f})" for row in arms]
            lines.append(f"| {index + 1} | " + " | ".join(cells) + " |")
    return lines


def _cell(value: Any) -> str:
    text = f"{value:.2g}" if isinstance(value, float) else "" if value is None else str(value)
    return text.replace("|", "\\|")
