"""Is the quantised model still the model? Task accuracy, KL divergence and top-1 agreement on held-out rows, size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.files import write_json
from mindgpt_plugins.generation.collect import Progress, collect_replies
from mindgpt_plugins.generation.engines import load_hf_engine
from mindgpt_plugins.generation.hf_engine import Engine, Prompt, Reply
from mindgpt_plugins.stages.evaluate.run import is_reply_right, make_row_prompt, select_evaluation_rows
from mindgpt_plugins.stages.evaluate.scoring import compute_wilson_interval
from mindgpt_plugins.stages.quantise.job import QuantiseJob


class QualityLost(RuntimeError):
    """The quantised model is below the gate; the message carries the figures."""


def judge_quantised_model(job: QuantiseJob, folder: Path, candidate: Path) -> dict[str, Any]:
    """Compare ``candidate`` with the stage's model; write and return ``quality.json``.

    Both answer the same rows greedily. KL(model ‖ candidate) and the share of equal most likely tokens are means over
    the positions of the unquantised model's own replies, end mark included.

    Raises:
        QualityLost: after ``quality.json`` is written, when the candidate is below the gate.
    """
    asked = job.gate
    items = select_evaluation_rows(asked.sets, asked.rows)
    prompts = [make_row_prompt(key, row, root) for key, (row, root) in items.items()]
    progress = Progress(folder / "metrics.jsonl", total=2 * len(prompts))
    engines = {"model": load_hf_engine(job), "quantised": load_hf_engine(job, str(candidate))}
    replies = {
        name: collect_replies(
            lambda engine=engine: engine,  # type: ignore[misc]
            prompts,
            folder / "passes" / f"{name}.jsonl",
            batch_size=job.batch_size,
            progress=progress,
        )
        for name, engine in engines.items()
    }
    correct = {
        name: [is_reply_right(items[p.key][0], found[p.key][0]) for p in prompts] for name, found in replies.items()
    }
    few = [prompts[at * len(prompts) // asked.kl_rows] for at in range(asked.kl_rows)]
    few = list(dict.fromkeys(few)) if len(prompts) > asked.kl_rows else prompts
    kl, same = measure_divergence(engines["model"], engines["quantised"], few, replies["model"], job.batch_size)
    size = {name: measure_weights_size(Path(path)) for name, path in (("model", job.model), ("quantised", candidate))}
    accuracy = {name: sum(found) / len(found) for name, found in correct.items()}
    quality = {
        "scheme": job.scheme,
        "kv_cache": job.kv_cache,
        "rows": len(prompts),
        "accuracy": accuracy,
        "interval": {name: compute_wilson_interval(sum(found), len(found)) for name, found in correct.items()},
        "changed": sum(a != b for a, b in zip(correct["model"], correct["quantised"], strict=True)),
        "recovery": accuracy["quantised"] / accuracy["model"] if accuracy["model"] else None,
        "kl": kl,
        "top1": same,
        "bytes": size,
        "size": size["quantised"] / size["model"],
        "gate": asked.model_dump(include={"recovery", "top1", "kl"}),
    }
    lost = find_quality_shortfalls(quality)
    quality["verdict"] = "failed" if lost else "passed"
    write_json(folder / "quality.json", quality)
    if lost:
        raise QualityLost(
            f"the quantised model is below the gate: {'; '.join(lost)}. The unquantised model stays in use; "
            f"the figures are in {folder / 'quality.json'}. Try a finer scheme (fp8_dynamic, int8_w8a8), more "
            "calibration rows, or keep more modules with `keep`."
        )
    return quality


def find_quality_shortfalls(quality: Mapping[str, Any]) -> list[str]:
    """What is below the gate; empty when it is passed."""
    gate, found = quality["gate"], []
    if quality["recovery"] is None:
        found.append("the unquantised model answers nothing right, so recovery cannot be judged")
    elif quality["recovery"] < gate["recovery"]:
        found.append(f"accuracy recovery {quality['recovery']:.4f} < {gate['recovery']:g}")
    if gate["top1"] is not None and quality["top1"] < gate["top1"]:
        found.append(f"top-1 agreement {quality['top1']:.4f} < {gate['top1']:g}")
    if gate["kl"] is not None and quality["kl"] > gate["kl"]:
        found.append(f"KL {quality['kl']:.2e} > {gate['kl']:g} nats per token")
    return found


def measure_divergence(
    model: Engine, candidate: Engine, prompts: Sequence[Prompt], replies: Mapping[str, list[Reply]], batch_size: int
) -> tuple[float, float]:
    """Mean KL(model ‖ candidate) in nats, and share of equal most likely tokens, per position of the replies."""
    import torch

    total = same = positions = 0.0
    given = [replace(p, prefix=replies[p.key][0].text) for p in prompts]
    for batch in model.batches(given, batch_size):
        for mine, other in zip(model.reply_logits(batch), candidate.reply_logits(batch), strict=True):
            p, q = torch.log_softmax(mine.double(), -1), torch.log_softmax(other.double(), -1)
            total += float((p.exp() * (p - q)).sum())
            same += float((p.argmax(-1) == q.argmax(-1)).sum())
            positions += len(p)
    return total / positions, same / positions


def measure_weights_size(folder: Path) -> int:
    """Bytes of a model's weight files.

    Raises:
        FileNotFoundError: there are none.
    """
    files = list(folder.glob("*.safetensors"))
    if not files:
        raise FileNotFoundError(f"{folder} has no .safetensors files; give a local model folder")
    return sum(file.stat().st_size for file in files)
