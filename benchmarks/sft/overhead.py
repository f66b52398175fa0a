"""What our SFT trainer costs per step, beside LLaMA-Factory's own, on the same data, batches and model.

    python benchmarks/sft/overhead.py      (about 4 minutes on 2 idle cores; --rounds 1 for a quick look)

Three sides, interleaved, each in a fresh process: stock; ours with `loss: null` (carried columns, logs, checkpoints);
ours with its default loss. The time of a step lies between two ends of steps, so it holds everything: fetching and
collating, forward, backward, optimizer, logging. The bound is 20 ms + 0.05 ms per sample and step.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from mindgpt_plugins.core import compat
from mindgpt_plugins.core.files import read_json
from mindgpt_plugins.core.folders import find_run
from mindgpt_plugins.core.process import build_child_environment

RESULT = Path(__file__).parent.parent / "results" / "sft_overhead.md"
SIDES: dict[str, dict[str, Any] | None] = {"stock": None, "ours, loss: null": {"loss": None}, "ours": {}}
WARM_UP = 5
RECIPE = {
    "name": "overhead",
    "device": "cpu",
    "offline": True,
    "image": {"min_pixels": 1024, "max_pixels": 9216},
    "stages": {
        "world": {
            "kind": "world",
            "world": {"size": 96},
            "sets": {
                "train": {"sources": {name: {"images": 300, "items": 600} for name in ("general", "domain")}},
                "held": {"split": "dev", "sources": {"general": {"images": 10}}},
            },
        },
        "model": {"kind": "model", "tokenizer_from": ["world/train"]},
    },
}


def child(path: Path) -> None:
    """Train one configuration in this process and write when each step ended."""
    from transformers.trainer_callback import CallbackHandler

    ends: list[float] = []
    original = CallbackHandler.on_step_end

    def timed(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        ends.append(time.perf_counter())
        return result

    CallbackHandler.on_step_end = timed
    config = yaml.safe_load(path.read_text())
    if "mindgpt" in config:
        from mindgpt_plugins.llamafactory_ext.launch import main as ours

        ours(["train", str(path)])
    else:
        from llamafactory.train.tuner import run_exp

        run_exp(config)
    path.with_suffix(".json").write_text(json.dumps(ends))


def host_config(run: dict[str, Path], output: Path, batch: int, steps: int) -> dict[str, Any]:
    """An ordinary LLaMA-Factory configuration."""
    return {
        "model_name_or_path": str(run["model"] / "model"),
        "dataset_dir": str(run["world"] / "datasets"),
        "media_dir": str(run["world"] / "datasets"),
        "dataset": "train",
        "template": "qwen3_vl_nothink",
        "cutoff_len": 128,
        "image_min_pixels": 1024,
        "image_max_pixels": 9216,
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "full",
        "freeze_vision_tower": False,
        "per_device_train_batch_size": batch,
        "max_steps": steps + WARM_UP,
        "learning_rate": 1.0e-4,
        "logging_steps": 1,
        "save_strategy": "no",
        "output_dir": str(output),
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        "disable_gradient_checkpointing": True,
        "seed": 0,
    }


def measure(run: dict[str, Path], side: str, batch: int, steps: int, folder: Path) -> float:
    """Median milliseconds per step of one process."""
    config = host_config(run, folder / "out", batch, steps)
    if SIDES[side] is not None:
        config["mindgpt"] = SIDES[side]
    path = folder / "train.yaml"
    path.write_text(yaml.safe_dump(config))
    environment = {**os.environ, **build_child_environment(cpu=True, offline=True, extra={})}
    environment["HF_DATASETS_CACHE"] = str(folder / "cache")
    command = [sys.executable, __file__, "--child", str(path)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"{side}: {done.stdout[-3000:]}")
    ends = read_json(path.with_suffix(".json"))[WARM_UP - 1 :]
    return 1000 * statistics.median(b - a for a, b in itertools.pairwise(ends))


def main() -> None:
    """Measure every side and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="+", default=[4, 32])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        child(arguments.child)
        return
    with tempfile.TemporaryDirectory() as scratch:
        recipe = Path(scratch) / "overhead.yaml"
        recipe.write_text(yaml.safe_dump(RECIPE, sort_keys=False))
        command = [sys.executable, "-m", "mindgpt_plugins.cli", "run", str(recipe), "--runs", str(arguments.runs)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        manifest = read_json(find_run(arguments.runs, "overhead") / "manifest.json")
        run = {stage["name"]: Path(stage["folder"]) for stage in manifest["stages"]}
        times: dict[tuple[str, int], list[float]] = {}
        for number, batch, side in itertools.product(range(arguments.rounds), arguments.batches, SIDES):
            folder = Path(scratch) / f"{number}-{batch}-{list(SIDES).index(side)}"
            folder.mkdir()
            times.setdefault((side, batch), []).append(measure(run, side, batch, arguments.steps, folder))
            print(f"round {number}, batch {batch}, {side}: {times[side, batch][-1]:.1f} ms per step", flush=True)
    hosts = ", ".join(
        f"{name} {compat.find_installed_version(name)}" for name in ("llamafactory", "transformers", "torch")
    )
    text = f"`python benchmarks/sft/overhead.py --rounds {arguments.rounds} --steps {arguments.steps}`\n\n"
    text += (
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {hosts}. A model of 1.6 M "
    )
    text += f"parameters on CPU; median of {arguments.rounds} interleaved processes, range in brackets.\n\n"
    text += "| batch | side | ms per step | more than stock (ms) | bound (ms) | within |\n|---|---|---|---|---|---|\n"
    for batch, side in itertools.product(arguments.batches, SIDES):
        own, bound = times[side, batch], 20 + 0.05 * batch
        more = statistics.median(a - b for a, b in zip(own, times["stock", batch], strict=True))
        shown = f"{statistics.median(own):.1f} [{min(own):.1f}, {max(own):.1f}]"
        verdict = "" if side == "stock" else "yes" if more <= bound else "no"
        rest = "| – | – |" if side == "stock" else f"| {more:+.1f} | {bound:.1f} |"
        text += f"| {batch} | {side} | {shown} {rest} {verdict} |\n"
    print(text)
    arguments.result.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
