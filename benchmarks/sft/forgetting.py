"""Does the three-stage curriculum forget less? Ablation on a smaller quickstart world, paired over seeds.

    python benchmarks/sft/forgetting.py --seeds 0 1 2 3 4 5        (about 13 minutes per seed on 2 idle cores)
    python benchmarks/sft/forgetting.py --table                    (only the table of what has been run)

Every arm of a seed starts from the same base model and trains on as many tokens as the three stages with KL anchor;
weight interpolation costs none beyond stage 1's. Killed at any moment, the same command goes on: finished stages are
reused, finished arms are lines of ``benchmarks/results/forgetting.jsonl``. The table beside it, ``forgetting.md``,
decides every comparison by a paired t-test over seeds with Holm's correction: win, null or loss.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from forgetting_arms import ARMS, BATCH, OURS, arm, recipe, trained
from forgetting_table import Line, table

from mindgpt_plugins.core import compat
from mindgpt_plugins.core.files import read_json
from mindgpt_plugins.core.folders import find_run
from mindgpt_plugins.families.pictures import count_area_tokens

RESULTS = Path(__file__).parent.parent / "results"
IMAGE = count_area_tokens(96, 96, side=32, min_pixels=1024, max_pixels=9216) + 2
"""Tokens of one picture, with its start and end."""


def run_seed(seed: int, names: Sequence[str], runs: Path, results: Path, scale: float) -> None:
    """Run the arms of one seed that have no line yet."""
    done = {(line["seed"], line["arm"], line["recipe"]) for line in read(results)}
    budget, ours = 0.0, {}
    for name in (OURS, *(name for name in names if name != OURS)):
        one_stage = not name.startswith("three_stage")
        steps = round(budget / (BATCH * tokens_per_sample(name, ours))) if one_stage else None
        content = recipe(name, seed, steps, scale)
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
        missing = (seed, name, digest) not in done
        if not missing and name != OURS:
            continue
        print(f"seed {seed}: {name}", flush=True)  # ours is needed for its token budget; done, it takes seconds
        path = runs / "forgetting" / f"{name}-{seed}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        command = [sys.executable, "-m", "mindgpt_plugins.cli", "run", str(path), "--runs", str(runs)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        run = stages(find_run(runs, str(content["name"])))
        spent = sum(trained_tokens(stage, run) for stage in trained(name))
        if name == OURS:
            budget, ours = spent, run
        if missing:
            line = {"seed": seed, "arm": name, "recipe": digest, **figures(run), "tokens": round(spent)}
            with open(results, "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


def stages(run: Path) -> dict[str, Path]:
    """Stage → folder of a finished run."""
    return {stage["name"]: Path(stage["folder"]) for stage in read_json(run / "manifest.json")["stages"]}


def figures(run: dict[str, Path]) -> Line:
    """Accuracy in points, gain, retention (mean over general capabilities of after/before, %) and minutes."""
    before, after = (read_json(run[name] / "scores.json")["cells"] for name in ("eval_base", "evaluated"))
    cells = [{(c["source"], c["capability"]): c["accuracy"] for c in found} for found in (before, after)]
    kept = [
        cells[1][key] / value
        for key, value in cells[0].items()
        if key[0] == "general" and key[1] != "all" and value > 0
    ]
    domain = [100 * found["domain", "all"] for found in cells]
    minutes = sum(read_json(folder / "stage.json")["seconds"] for folder in run.values()) / 60
    return {
        "domain": domain[1],
        "domain_gain": domain[1] - domain[0],
        "general": 100 * cells[1]["general", "all"],
        "general_base": 100 * cells[0]["general", "all"],
        "retention": 100 * statistics.mean(kept),
        "minutes": minutes,
    }


def trained_tokens(stage: str, run: dict[str, Path]) -> float:
    """Tokens a training stage has consumed: steps × batch × mean length, both replies of a pair counted."""
    settings = read_json(run[stage] / "stage.json")["settings"]
    return float(settings["max_steps"] * BATCH * mean_length(settings["data"], run))


def tokens_per_sample(name: str, run: dict[str, Path]) -> float:
    """Mean length of what a one-stage arm would train on."""
    (stage,) = trained(name)
    return mean_length(arm(name, 1)[stage]["data"], run)


def mean_length(data: Sequence[Any], run: dict[str, Path]) -> float:
    """Mean tokens of a sample of a weighted list of sets, vision tokens included."""
    entries = [{"set": one} if isinstance(one, str) else one for one in data]
    weights = [1.0 if entry.get("weight") is None else float(entry["weight"]) for entry in entries]
    lengths = [set_length(entry["set"], run) for entry in entries]
    return sum(w * length for w, length in zip(weights, lengths, strict=True)) / sum(weights)


def set_length(reference: str, run: dict[str, Path]) -> float:
    """Mean tokens of a row of one set."""
    from transformers import AutoTokenizer

    stage, _, name = reference.rpartition("/")
    rows = json.loads((run[stage] / "datasets" / f"{name}.json").read_text(encoding="utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(run["model"] / "model")
    total = 0
    for row in rows:
        if "chosen" in row:
            chats = [[*row["conversations"], row[reply]] for reply in ("chosen", "rejected")]
        else:
            chats = [row["messages"]]
        for chat in chats:
            text = tokenizer.apply_chat_template(
                [{**turn, "content": turn["content"].replace("<image>", "")} for turn in chat], tokenize=False
            )
            total += len(tokenizer(text, add_special_tokens=False)["input_ids"]) + IMAGE * len(row["images"])
    return total / len(rows)


def read(path: Path) -> list[Line]:
    """All lines so far; of several for one seed and arm the last one counts."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
    return list({(line["seed"], line["arm"]): line for line in lines}.values())


def main() -> None:
    """Run what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(6)))
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--results", type=Path, default=RESULTS / "forgetting.jsonl")
    parser.add_argument("--scale", type=float, default=1.0, help="times every count of the world and of steps")
    parser.add_argument("--table", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    if not arguments.table:
        for seed in arguments.seeds:
            names = [name for name in ARMS if name in arguments.arms]
            run_seed(seed, names, arguments.runs, arguments.results, arguments.scale)
    lines = read(arguments.results)
    if not lines:
        sys.exit(f"{arguments.results} has no line yet")
    hosts = ", ".join(f"{name} {compat.find_installed_version(name)}" for name in compat.HOSTS)
    seeds = sorted({line["seed"] for line in lines})
    minutes = sum(line["minutes"] for line in lines if line["arm"] == OURS) / len(seeds)
    head = f"`python benchmarks/sft/forgetting.py --seeds {' '.join(map(str, seeds))}`\n\n"
    head += (
        f"{platform.machine()}, Python {platform.python_version()}, {hosts}. Test set, greedy replies; mean over seeds "
    )
    head += f"with its 95 % interval; {minutes:.0f} minutes of stages for the first arm of a seed.\n\n"
    text = head + table(lines)
    print(text)
    arguments.results.with_suffix(".md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
