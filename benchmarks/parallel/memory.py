"""The planner's peak memory beside the measured one: one rank on a CPU, models up to 300 M parameters.

    python benchmarks/parallel/memory.py      (about 3 minutes on 2 idle cores; --only WORD runs the cases that say it)

Each case trains two steps of a randomly initialised model of transformers in a process of its own (measure.py). The
second step is measured, in two ways: the bytes of all live tensor storages, followed by a dispatch mode (memory inside
an operator and the allocator's slack are not in it), and the process's resident memory less what it held beside tensors
before the step (everything is in it, the allocator's slack too). The prediction is
`mindgpt_plugins.workbench.parallel.memory`: the formulas of `mindgpt plan parallel` with the bytes of float32,
or of bfloat16 where the case says so. Beside it the usual rule, 16 bytes per parameter.

In bfloat16 on CPU, experts hold more than their tensors: oneDNN compiles a kernel per shape and keeps up to 1,024 of
them, and an expert sees another number of tokens in each step. `ONEDNN_PRIMITIVE_CACHE_CAPACITY=0` before the command
keeps none, and the gap shrinks. It is no memory of the step, and the planner, made for GPUs, does not model it; in
float32, and in bfloat16 without experts, there is no such gap.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.process import build_child_environment
from mindgpt_plugins.sizing.model import parse_model_sizes
from mindgpt_plugins.workbench.parallel import memory
from mindgpt_plugins.workbench.parallel.request import ParallelRequest

HERE = Path(__file__).parent
RESULT = HERE.parent / "results" / "plan_memory.md"
TEXT = {"vocab_size": 2048, "hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 4}
TEXT |= {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64, "max_position_embeddings": 4096}
SEEN = {"depth": 4, "hidden_size": 256, "intermediate_size": 1024, "num_heads": 4, "patch_size": 16}
SEEN |= {"spatial_merge_size": 2, "temporal_patch_size": 2, "num_position_embeddings": 2304}
EXPERTS = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 128}
MIDDLE = {"vocab_size": 16384, "hidden_size": 640, "intermediate_size": 1920, "num_hidden_layers": 10}
LARGE = {"vocab_size": 32768, "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 17}
LARGE |= {"num_attention_heads": 16, "num_key_value_heads": 8}
PICTURES = [[32, 32], [32, 16]]


def text(architecture: str = "qwen3", tied: bool = False, **sizes: Any) -> dict[str, Any]:
    """A configuration of a language model."""
    more = EXPERTS if architecture.endswith("moe") else {}
    return {"model_type": architecture, "tie_word_embeddings": tied, **TEXT, **more, **sizes}


def multimodal(architecture: str = "qwen3_vl", tied: bool = False, **sizes: Any) -> dict[str, Any]:
    """The same with a vision tower."""
    inner = text("qwen3_moe" if architecture.endswith("moe") else "qwen3", **sizes)
    del inner["model_type"], inner["tie_word_embeddings"]
    half = inner["head_dim"] // 2
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [half - 2 * (half // 3), half // 3, half // 3]}
    vocabulary, vision = inner["vocab_size"], {**SEEN, "out_hidden_size": inner["hidden_size"]}
    if architecture == "qwen2_5_vl":
        vision |= {"hidden_size": 320, "intermediate_size": 860, "patch_size": 14, "fullatt_block_indexes": [3]}
    else:
        vision |= {"deepstack_visual_indexes": [1, 2]}
    special = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    return {
        "model_type": architecture,
        "tie_word_embeddings": tied,
        "text_config": {**inner, "rope_parameters": rope, "model_type": f"{architecture}_text"},
        "vision_config": {**vision, "model_type": architecture},
        **{name: vocabulary - 1 - i for i, name in enumerate(special)},
    }


CASES: dict[str, dict[str, Any]] = {
    "text": {"config": text(), "seq": 1024},
    "text, checkpointing": {"config": text(), "seq": 1024, "checkpointing": True},
    "text, wide head, two rows": {"config": text(vocab_size=16384), "seq": 256, "rows": 2},
    "text, tied, SGD, short": {"config": text(tied=True, vocab_size=16384), "seq": 64, "optimizer": "sgd"},
    "experts": {"config": text("qwen3_moe"), "seq": 512},
    "pictures": {"config": multimodal(), "seq": 512, "images": PICTURES},
    "pictures, checkpointing, SGD": {
        "config": multimodal(),
        "seq": 512,
        "images": PICTURES,
        "checkpointing": True,
        "optimizer": "sgd",
    },
    "pictures, tower frozen": {"config": multimodal(), "seq": 512, "images": PICTURES, "freeze_vision": True},
    "pictures, experts": {"config": multimodal("qwen3_vl_moe"), "seq": 512, "images": PICTURES},
    "text, bfloat16": {"config": text(), "seq": 512, "dtype": "bfloat16"},
    "pictures, bfloat16": {"config": multimodal(), "seq": 512, "images": PICTURES, "dtype": "bfloat16"},
    "pictures, experts, bfloat16": {
        "config": multimodal("qwen3_vl_moe"),
        "seq": 512,
        "images": PICTURES,
        "dtype": "bfloat16",
    },
    "pictures, Qwen2.5-VL": {"config": multimodal("qwen2_5_vl"), "seq": 512, "images": PICTURES},
    "middle": {"config": multimodal(**MIDDLE), "seq": 512, "images": PICTURES, "checkpointing": True},
    "large": {"config": text(**LARGE), "seq": 128},
    "large, checkpointing, SGD": {"config": text(**LARGE), "seq": 128, "checkpointing": True, "optimizer": "sgd"},
}


def whole(case: dict[str, Any]) -> dict[str, Any]:
    """A case with its defaults."""
    return {
        "rows": 1,
        "images": [],
        "checkpointing": False,
        "optimizer": "adamw",
        "freeze_vision": False,
        "dtype": "float32",
    } | case


def predicted(case: dict[str, Any]) -> memory.Memory:
    """What the planner says about a case."""
    request = ParallelRequest(
        gpus=1,
        seq=case["seq"],
        images=tuple((height, width) for height, width in case["images"]),
        trainers=("llamafactory",),
        recompute="full" if case["checkpointing"] else "none",
        micro_batch=case["rows"],
        train_vision=not case["freeze_vision"],
    )
    return memory.estimate_one_rank_memory(
        parse_model_sizes(case["config"], "case"), request, case["optimizer"], case["dtype"]
    )


def measured(case: dict[str, Any]) -> dict[str, Any]:
    """What a process of its own says, with an allocator that gives memory back at once."""
    small = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / "measure.py"), json.dumps(case)]
    env = {**os.environ, **build_child_environment(cpu=True, offline=True, extra=small)}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    if done.returncode:
        raise SystemExit(f"{done.stderr[-2000:]}\nmeasure.py failed")
    found = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    return found


def main() -> None:
    """Measure the cases, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="only cases whose name has this; nothing is written")
    args = parser.parse_args()
    rows, errors = [], []
    for name, given in CASES.items():
        if args.only not in name:
            continue
        case = whole(given)
        got, said = measured(case), predicted(case)
        error = said.total / got["tensors"] - 1
        errors.append(abs(error))
        tokens, seen = case["rows"] * case["seq"], case["rows"] * sum(h * w for h, w in case["images"])
        numbers = [f"{value / 1e6:.1f}" for value in (got["tensors"], said.total)]
        against = f"{said.total / got['rss'] - 1:+.1%}"
        rule = f"{16 * got['parameters'] / got['tensors'] - 1:+.0%}"
        cells = [name, f"{got['parameters'] / 1e6:.1f}", tokens, seen, case["optimizer"], said.moment, *numbers]
        rows.append(f"| {' | '.join(map(str, [*cells, f'{error:+.1%}', against, rule]))} |")
        print(rows[-1], flush=True)
    if args.only:
        return
    versions = ", ".join(f"{name} {version(name)}" for name in ("mindgpt-plugins", "torch", "transformers"))
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}"
    head = ("case", "M parameters", "tokens", "patches", "optimizer", "peak at", "tensors MB", "predicted MB", "error")
    head = (*head, "to resident", "16 B rule")
    RESULT.write_text(
        "# Peak memory: the planner beside the measured one\n\n`python benchmarks/parallel/memory.py`\n\n"
        + f"{machine}.\n\n"
        + (__doc__ or "").split("\n\n", 2)[2]
        + f"\nLargest error {max(errors):.1%}; the bound is 10 %. Nothing here was measured on a GPU.\n\n"
        + f"| {' | '.join(head)} |\n|{'---|' * len(head)}\n"
        + "\n".join(rows)
        + "\n",
        encoding="utf-8",
    )
    print(f"written: {RESULT}")


if __name__ == "__main__":
    main()
