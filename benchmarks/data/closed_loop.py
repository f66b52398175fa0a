"""Closed loop: does a data round that follows the evaluation lift what was weak more than a round that does not?

    python benchmarks/data/closed_loop.py --seeds 0 1 2 3 4 5        (about 7 minutes per seed on one core)
    python benchmarks/data/closed_loop.py --table                    (only the table of what has been run)

One recipe per seed, real stages throughout: a model learns from an uneven first round (five random topics are nearly
missing), is evaluated on the dev split, and goes on from there twice with LLaMA-Factory: on a round whose world carries
``focus: {file: eval_first, set: dev}``, and on one that does not. Killed at any moment, the same command
goes on: finished stages are reused, finished seeds are lines of ``benchmarks/results/closed_loop.jsonl``; the table is
``closed_loop.md`` beside it. The decision rule stands in ``closed_loop_table.py`` and on top of that file.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from closed_loop_rounds import ARMS, first_recipe, loop_recipe, uneven
from closed_loop_table import figures, table

from mindgpt_plugins.core import compat
from mindgpt_plugins.core.files import read_json
from mindgpt_plugins.core.folders import find_run

RESULTS = Path(__file__).parent.parent / "results"


def run_seed(seed: int, runs: Path, scale: float) -> dict[str, Any]:
    """Run what is missing of one seed; returns its line."""
    folder = (runs / "closed_loop").resolve()
    world = _run(first_recipe(seed, scale), folder, runs)["world"] / "datasets"
    starved = uneven(world, folder / f"uneven-{seed}", seed)
    found = _run(loop_recipe(seed, scale, f"uneven-{seed}"), folder, runs)
    return {"seed": seed, "scale": scale, "starved": starved, **figures(found, starved)}


def _run(recipe: dict[str, Any], folder: Path, runs: Path) -> dict[str, Path]:
    """Run a recipe; stage → folder."""
    path = folder / f"{recipe['name']}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    command = [sys.executable, "-m", "mindgpt_plugins.cli", "run", str(path), "--runs", str(runs)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    manifest = read_json(find_run(runs, str(recipe["name"])) / "manifest.json")
    return {stage["name"]: Path(stage["folder"]) for stage in manifest["stages"]}


def read(path: Path) -> list[dict[str, Any]]:
    """All lines so far, by seed; of several for one seed the last one counts."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
    return sorted({line["seed"]: line for line in lines}.values(), key=lambda line: int(line["seed"]))


def main() -> None:
    """Run what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(6)))
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--results", type=Path, default=RESULTS / "closed_loop.jsonl")
    parser.add_argument("--scale", type=float, default=1.0, help="times every count of the world and of steps")
    parser.add_argument("--confirm", action="store_true", help="fresh seeds: the claim alone is tested")
    parser.add_argument("--table", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    if not arguments.table:
        done = {line["seed"] for line in read(arguments.results)}
        for seed in arguments.seeds:
            if seed in done:
                continue
            print(f"seed {seed}", flush=True)
            line = run_seed(seed, arguments.runs, arguments.scale)
            with arguments.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
    lines = read(arguments.results)
    if not lines:
        sys.exit(f"{arguments.results} has no line yet")
    hosts = ", ".join(f"{name} {found}" for name in compat.HOSTS if (found := compat.find_installed_version(name)))
    seeds = " ".join(str(line["seed"]) for line in lines)
    more = f" --confirm --results {arguments.results.name}" if arguments.confirm else ""
    head = f"`python benchmarks/data/closed_loop.py --seeds {seeds}{more}`\n\n"
    head += f"{platform.machine()}, Python {platform.python_version()}, {hosts}; arms: {', '.join(ARMS)}.\n\n"
    text = head + table(lines, confirm=arguments.confirm)
    print(text)
    arguments.results.with_suffix(".md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
