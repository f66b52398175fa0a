"""The main three arms of the RL ablation once more, in real verl: GRPO, the plain sum of rewards, ours.

    python benchmarks/rl/confirm.py --seed 0 --runs runs            (7 minutes per arm on 2 busy cores)

Prompts, start model (warm-up included), rewards, advantages, learning rate and updates per step are the ablation's; a
recipe per arm goes through ``mindgpt run``, so finished arms are reused. The table comes from the rollouts that verl
dumped and is written to ``benchmarks/results/rl_confirm.md``.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import yaml
from ablation import RESULTS, identity, prepare
from ablation_arms import ARMS, OURS, Settings

from mindgpt_plugins.core import compat
from mindgpt_plugins.core.files import read_json
from mindgpt_plugins.core.folders import find_run, list_artefacts
from mindgpt_plugins.stages.evaluate.scoring import estimate_pass_at_k

CONFIRMED = ("grpo", "reward_sum", OURS)
FIGURES = ("score", "pass@1 (%)", "pass@8 (%)", "tokens", "distinct of 8", "refused twins (%)", "seconds per step")


def recipe(name: str, seed: int, folder: Path, settings: Settings, steps: int) -> dict[str, Any]:
    """One arm as a recipe for verl.

    Args:
        name: of the arm.
        seed: of the run.
        folder: with ``data`` and ``start``.
        settings: the ablation's.
        steps: of verl.
    """
    arm = ARMS[name]
    stage: dict[str, Any] = {
        "kind": "rl",
        "model": str(folder / "start"),
        "train": f"{folder / 'data'}/{'train_mixed' if arm.twins else 'train'}",
        "rewards": arm.rewards,
        "advantage": arm.advantage,
        "curriculum": {"name": "shuffled"},
        "group_size": settings.group,
        "prompts_per_step": settings.prompts,
        "steps": steps,
        "lr": settings.lr,
        "clip": list(settings.clip),
        "max_prompt_tokens": 96,
        "max_response_tokens": settings.max_tokens,
        "micro_batch": settings.prompts // settings.mini_batches * settings.group,
        "save_every": steps,
        "verl": {
            "actor_rollout_ref": {
                "actor": {
                    "ppo_mini_batch_size": settings.prompts // settings.mini_batches,
                    "optim": {"betas": [0.9, 0.95]},
                }
            }
        },
    }
    if arm.perception is not None:
        stage["perception"] = arm.perception
    head = {"name": f"rl_confirm-{name}-{seed}", "seed": seed, "device": "cpu", "offline": True}
    return head | {"image": {"min_pixels": 1024, "max_pixels": 9216}, "stages": {"rl": stage}}


def figures(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Figures of some steps' dumped replies; all but the refusals are of answerable prompts."""
    groups: dict[tuple[int, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["step"], row["group"]].append(row)
    answerable = [own for own in groups.values() if own[0]["type"] != "adversarial"]
    twins = [row for own in groups.values() if own[0]["type"] == "adversarial" for row in own]
    right = [(len(own), sum(row["score"] >= 0.5 for row in own)) for own in answerable]
    found = {
        "score": statistics.mean(row["score"] for own in answerable for row in own),
        "pass@1 (%)": 100 * statistics.mean(c / n for n, c in right),
        "pass@8 (%)": 100 * statistics.mean(estimate_pass_at_k(n, c, 8) for n, c in right),
        "tokens": statistics.mean(row["tokens"] for own in answerable for row in own),
        "distinct of 8": statistics.mean(len({row["output"] for row in own}) for own in answerable),
    }
    if twins:
        found["refused twins (%)"] = 100 * statistics.mean(row["score"] > 0 for row in twins)
    return found


def measured(stage: Path) -> dict[str, tuple[float, float]]:
    """Figure → its value in the first and in the last fifth of the steps of a finished stage."""
    dumps = sorted((Path(list_artefacts(stage)["rollouts"])).glob("*.jsonl"), key=lambda path: int(path.stem))
    steps = [[json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] for path in dumps]
    fifth = max(1, len(steps) // 5)
    first, last = (figures([row for step in part for row in step]) for part in (steps[:fifth], steps[-fifth:]))
    found = {name: (first[name], last[name]) for name in first if name in last}
    lines = [json.loads(line) for line in (stage / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    seconds = [float(line["seconds"]) for line in lines]
    return found | {"seconds per step": (statistics.median(seconds[:fifth]), statistics.median(seconds[-fifth:]))}


def main() -> None:
    """Run the three recipes and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--arms", nargs="+", choices=CONFIRMED, default=list(CONFIRMED))
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--start", metavar="PATTERN", help="as of ablation.py")
    parser.add_argument("--results", type=Path, default=RESULTS / "rl_confirm.md")
    arguments = parser.parse_args()
    settings, runs = Settings(), arguments.runs.resolve()
    common = identity(arguments.seed, settings, arguments.start, runs, 1.0)
    folder = prepare(arguments.seed, settings, common, runs)
    text = "| arm | " + " | ".join(FIGURES) + " |\n|---|" + "---|" * len(FIGURES) + "\n"
    for name in arguments.arms:
        content = recipe(name, arguments.seed, folder, settings, arguments.steps)
        path = folder / f"verl_{name}.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        command = [sys.executable, "-m", "mindgpt_plugins.cli", "run", str(path), "--runs", str(runs)]
        subprocess.run(command, check=True)
        stages = read_json(find_run(runs, str(content["name"])) / "manifest.json")["stages"]
        found = measured(next(Path(stage["folder"]) for stage in stages if stage["name"] == "rl"))
        cells = [f"{found[key][0]:.2f} → {found[key][1]:.2f}" if key in found else "-" for key in FIGURES]
        text += f"| {name} | {' | '.join(cells)} |\n"
    hosts = ", ".join(f"{name} {compat.find_installed_version(name)}" for name in compat.HOSTS)
    head = f"""# The main arms of the RL ablation in real verl

`python benchmarks/rl/confirm.py --seed {arguments.seed} --steps {arguments.steps}`

{platform.machine()}, Python {platform.python_version()}, {hosts}; rollouts by hf_cpu. {arguments.steps} steps of
{settings.prompts} prompts × {settings.group} replies, {settings.mini_batches} updates a step, AdamW at {settings.lr:g},
from the start model of the light ablation (weights before its warm-up: sha256 {common["start"][:16]}…). From verl's
dumped rollouts: first → last fifth of the steps, training prompts, answerable ones unless said. One seed: this shows
that the arms behave alike in the real trainer, and decides nothing.

"""
    print(text)
    arguments.results.write_text(head + text, encoding="utf-8")


if __name__ == "__main__":
    main()
