"""What our verl trainer costs per step beside verl's own GRPO, on the same model, data and rollout backend.

    python benchmarks/rl/overhead.py      (about 9 minutes on 2 idle cores; --rounds 1 --steps 8 for a quick look)

Two sides, interleaved, each a whole verl run in fresh processes: verl's `sync` trainer with GRPO and a reward function,
and ours with four rewards, modulated advantages, metrics and the rollout dump; no masked pass. Both look at the replay
buffer every 20 ms and both write a dump. The time of a step lies between the ends of two steps, so it holds everything.
The model's own work (generation, log-probabilities, update) is the same on both sides but varies between runs by more
than the bound (20 ms + 0.05 ms per sample and step), so the bound is also checked on what is left without it.
What our entry point adds to `import verl` is in `import_verl.py`.
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
from pathlib import Path

import yaml
from mindgpt_patches.cpu import SITE

from mindgpt_plugins.core import compat
from mindgpt_plugins.core.files import read_json
from mindgpt_plugins.core.folders import find_run
from mindgpt_plugins.core.process import build_child_environment
from mindgpt_plugins.stages.base import Context
from mindgpt_plugins.stages.rl.config import RLConfig
from mindgpt_plugins.stages.rl.stage import RL

RESULT = Path(__file__).parent.parent / "results" / "rl_overhead.md"
PROBE = Path(__file__).with_name("overhead_probe.py")
SIDES = ("stock", "ours")
WARM_UP = 3
PROMPTS, REPLIES = 16, 8
BOUND = 20 + 0.05 * PROMPTS * REPLIES
PHASES = ("gen", "old_log_prob", "adv", "update_actor", "update_weights", "rest")
RECIPE = {
    "name": "rl_overhead",
    "device": "cpu",
    "offline": True,
    "image": {"min_pixels": 1024, "max_pixels": 9216},
    "stages": {
        "world": {
            "kind": "world",
            "world": {"size": 96},
            "sets": {"train": {"sources": {"general": {"images": 200, "items": 400}}}},
        },
        "model": {"kind": "model", "tokenizer_from": ["world/train"]},
    },
}


def prepare(runs: Path, scratch: Path) -> tuple[str, str]:
    """Make data and a model; returns the model's folder and the training set."""
    recipe = scratch / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(RECIPE, sort_keys=False))
    command = [sys.executable, "-m", "mindgpt_plugins.cli", "run", str(recipe), "--runs", str(runs)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    stages = {
        s["name"]: Path(s["folder"]) for s in read_json(find_run(runs, "rl_overhead") / "manifest.json")["stages"]
    }
    return str((stages["model"] / "model").resolve()), f"{(stages['world'] / 'datasets').resolve()}/train"


def environment() -> dict[str, str]:
    """Of a process that imports verl here."""
    path = os.pathsep.join([str(SITE), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, **build_child_environment(cpu=True, offline=True, extra={}), "PYTHONPATH": path}


def measure(side: str, model: str, data: str, steps: int, folder: Path) -> dict[str, float]:
    """Median milliseconds of a step and of its phases, of one verl run."""
    sampler = {"custom_sampler": {"path": str(PROBE), "name": "Buffer"}}
    config = RLConfig.model_validate(
        {
            "kind": "rl", "model": model, "train": data, "steps": steps + WARM_UP, "lr": 1e-6,
            "prompts_per_step": PROMPTS, "group_size": REPLIES, "micro_batch": 64, "save_every": 10_000,
            "max_prompt_tokens": 96, "max_response_tokens": 32, "curriculum": {"name": "shuffled"},
            "rewards": {"accuracy": {}, "format": {}, "conciseness": {"weight": 0.2}, "diversity": {"weight": 0.1}},
            "verl": {"trainer": {"v1": {"sampler": sampler}}},
        }
    )  # fmt: skip
    command = RL().render(config, Context(name="rl", folder=folder, inputs={}, seed=0))[0]
    argv = list(command.argv)
    if side == "stock":
        argv = [part for part in argv if not part.startswith("+trainer.v1.mindgpt_sync")]
        argv += ["trainer.v1.trainer_mode=sync", f"reward.custom_reward_function.path={PROBE}"]
    log, probe = folder / "verl.log", folder / "probe.jsonl"
    with log.open("w") as file:
        done = subprocess.run(
            [sys.executable, *argv],
            env={**environment(), **command.env, "MINDGPT_PROBE": str(probe)},
            cwd=folder,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    if done.returncode:
        sys.exit(f"{side}: {log.read_text()[-3000:]}")
    lines = [json.loads(line) for line in probe.read_text().splitlines()][WARM_UP - 1 :]
    found: dict[str, list[float]] = {name: [] for name in ("whole", "tokens", *PHASES)}
    for before, after in itertools.pairwise(lines):
        phases = {name: 1000 * after.get(name, 0.0) for name in PHASES[:-1]}
        whole = 1000 * (after["now"] - before["now"] - after.get("save_checkpoint", 0.0))
        found["whole"].append(whole)
        found["tokens"].append(after["tokens"])
        for name, value in {**phases, "rest": whole - sum(phases.values())}.items():
            found[name].append(value)
    return {name: statistics.median(values) for name, values in found.items()}


def table(times: dict[str, list[dict[str, float]]]) -> str:
    """Whole steps, their phases, and both against the bound."""

    def shown(values: list[float]) -> str:
        return f"{statistics.median(values):.1f} [{min(values):.1f}, {max(values):.1f}]"

    text = "| part of a step (ms) | stock | ours | ours − stock | ours / stock |\n|---|---|---|---|---|\n"
    rows = {name: [[run[name] for run in times[side]] for side in SIDES] for name in ("whole", *PHASES)}
    for label, left in (
        ("whole − gen − update_weights", ("old_log_prob", "adv", "update_actor", "rest")),
        ("whole − the model's work", ("adv", "rest")),
    ):
        rows[label] = [[sum(run[name] for name in left) for run in times[side]] for side in SIDES]
    for name, (stock, ours) in rows.items():
        more = statistics.median(b - a for a, b in zip(stock, ours, strict=True))
        ratio = f"{statistics.median(ours) / statistics.median(stock):.2f}" if statistics.median(stock) > 1 else "–"
        text += f"| {name} | {shown(stock)} | {shown(ours)} | {more:+.1f} | {ratio} |\n"
        if name.startswith("whole"):
            verdict = "within" if more <= BOUND else "**beyond**"
            text += f"| | | | bound {BOUND:.1f}: {verdict} | |\n"
    return text


def main() -> None:
    """Measure both sides and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--result", type=Path, default=RESULT)
    arguments = parser.parse_args()
    times: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as scratch:
        model, data = prepare(arguments.runs, Path(scratch))
        for number, side in itertools.product(range(arguments.rounds), SIDES):
            folder = Path(scratch) / f"{number}-{side}"
            folder.mkdir()
            times[side].append(measure(side, model, data, arguments.steps, folder))
            print(f"round {number}, {side}: {times[side][-1]['whole']:.0f} ms per step", flush=True)
    hosts = ", ".join(
        f"{name} {compat.find_installed_version(name)}" for name in ("verl", "transformers", "torch", "ray")
    )
    text = f"`python benchmarks/rl/overhead.py --rounds {arguments.rounds} --steps {arguments.steps}`\n\n"
    text += (
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {hosts}. A model of 1.6 M "
    )
    text += f"parameters on CPU, {PROMPTS} prompts × {REPLIES} replies; medians of {arguments.steps} steps, then of "
    text += f"{arguments.rounds} interleaved runs, range in brackets. Bound: 20 ms + 0.05 ms per sample.\n\n"
    text += table(times)
    tokens = (f"{side} {statistics.median(run['tokens'] for run in times[side]):.1f}" for side in SIDES)
    text += f"\nTokens per reply: {', '.join(tokens)}. `import verl` with and without us: `import_verl.py`.\n"
    print(text)
    arguments.result.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
