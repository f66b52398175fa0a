"""Does the three-stage curriculum forget less? Ablation on a smaller quickstart world, paired over seeds.

    python benchmarks/sft/forgetting.py --seeds 0 1 2 3 4 5        (about 13 minutes per seed on 2 idle cores)
    python benchmarks/sft/forgetting.py --table                    (only the table of what has been run)

Every arm of a seed starts from the same base model and trains on as many tokens as the three stages with KL anchor;
weight interpolation costs none beyond stage 1's. Killed at any moment, the same command goes on: finished stages are
reused, finished arms are lines of ``benchmarks/results/forgetting.jsonl``. The table, ``benchmarks/results/forgetting.md``,
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

from mindgpt_plugins import compat
from mindgpt_plugins.pipeline.folders import find_run, read_json
from mindgpt_plugins.pipeline.preflight import vision_tokens

RESULTS = Path(__file__).parent.parent / "results"
OURS = "three_stage_kl"
ARMS = (OURS, "three_stage", "three_stage_dynamic", "stage1", "one_mix", "interpolation")
"""In the order they are run: the first one sets the token budget."""
BATCH = 16
IMAGE = vision_tokens(96, 96, side=32, min_pixels=1024, max_pixels=9216) + 2
STEPS = {"base": 1000, "domain": 400, "restore": 350, "align": 30}
METRICS = {"domain_gain": "domain gain (points)", "retention": "retention (%)"}

Stages = dict[str, dict[str, Any]]
Line = dict[str, Any]


# ---- recipes ---------------------------------------------------------------------------------------------------


def training(model: str, data: list[Any], steps: int, **more: Any) -> dict[str, Any]:
    """A training stage of the quickstart's kind."""
    return {
        "kind": "sft",
        "model": model,
        "data": data,
        "max_steps": steps,
        "lr": 5.0e-4,
        "warmup": 0.05,
        "batch_size": BATCH,
        "freeze_vision_tower": False,
        "cutoff_len": 128,
        "save_steps": 200,
        "logging_steps": 10,
        **more,
    }


def evaluation(model: str) -> dict[str, Any]:
    """Greedy replies on the test set."""
    return {"kind": "evaluate", "model": model, "sets": ["world/test"], "samples": None, "blank": False}


DOMAIN = [{"set": "world/domain_train", "weight": 9}, {"set": "world/general_replay", "weight": 1}]


def shared() -> Stages:
    """What every arm of a seed starts from."""
    general, domain = {"images": 1000, "items": 1200}, {"images": 500, "items": 600}
    sets = {
        "general_train": {"sources": {"general": {"images": 6000, "items": 12000, "skew": 1.7}}},
        "general_replay": {"sources": {"general": {"images": 300, "items": 500, "skew": 1.3}}},
        "domain_train": {"sources": {"domain": {"images": 2000, "items": 4500}}},
        "restore_prompts": {"sources": {"general": {"images": 1200, "items": 2000, "skew": 1.3}}},
        "align_prompts": {
            "sources": {"general": {"images": 300, "items": 400}, "domain": {"images": 300, "items": 400}}
        },
        "dev": {
            "split": "dev",
            "sources": {"general": {**general, "skew": 1.3}, "domain": {"images": 300, "items": 300}},
        },
        "test": {"split": "test", "sources": {"general": general, "domain": domain}},
    }
    return {
        "world": {
            "kind": "world",
            "world": {"size": 96},
            "budget": {"allocator": "density", "n_max": 6},
            "sets": sets,
        },
        "model": {"kind": "model", "tokenizer_from": ["world/general_train", "world/domain_train"]},
        "base": training(
            "model",
            ["world/general_train"],
            STEPS["base"],
            curriculum={"name": "easy_to_hard", "pacing": "linear", "start": 0.1},
        ),
        "eval_base": evaluation("base"),
        "domain": training("base", DOMAIN, STEPS["domain"], curriculum={"name": "easy_to_hard"}),
        "restore_data": {
            "kind": "rejection_sampling",
            "model": "base",
            "after": "domain",
            "prompts": ["world/restore_prompts"],
            "replay": [{"data": "world/domain_train", "share": 0.3}],
        },
    }


def arm(name: str, steps: int | None) -> Stages:
    """The stages of one arm; its last one evaluates. ``steps``: of a one-stage arm, for an equal number of tokens."""
    if name.startswith("three_stage"):
        more: dict[str, Any] = {"lr": 4.0e-4}
        if name != "three_stage":
            more["kl"] = {"sources": ["general"], "beta": 0.05, "reference": "base"}
        if name == "three_stage_dynamic":
            more["mixture"] = {"name": "dynamic", "weights": {"general": 0.7, "domain": 0.3}, "every": 25}
        return {
            "restore": training("domain", ["restore_data/restore"], STEPS["restore"], **more),
            "pairs": {
                "kind": "preference_pairs",
                "model": "restore",
                "prompts": ["world/align_prompts"],
                "samples": 6,
                "pairs": 480,
            },
            "align": {
                "kind": "dpo",
                "model": "restore",
                "data": ["pairs/align"],
                "max_steps": STEPS["align"],
                "lr": 2.0e-5,
                "batch_size": BATCH,
                "freeze_vision_tower": False,
                "cutoff_len": 128,
                "save_steps": 30,
            },
            "evaluated": evaluation("align"),
        }
    assert steps is not None
    if name == "one_mix":
        first, second = STEPS["domain"], STEPS["restore"]
        weights = {
            "world/domain_train": 0.9 * first,
            "world/general_replay": 0.1 * first,
            "restore_data/restore": second,
        }
        data = [{"set": key, "weight": weight} for key, weight in weights.items()]
        return {"mixed": training("base", data, steps), "evaluated": evaluation("mixed")}
    alone = {"alone": training("base", DOMAIN, steps, curriculum={"name": "easy_to_hard"})}
    if name == "stage1":
        return {**alone, "evaluated": evaluation("alone")}
    grid = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    choose = {"grid": grid, "sets": ["world/dev"], "groups": "source", "margin": 0.03}
    between = {"kind": "interpolate", "start": "base", "end": "alone", "choose": choose}
    return {**alone, "between": between, "evaluated": evaluation("between")}


def recipe(name: str, seed: int, steps: int | None, scale: float) -> dict[str, Any]:
    """The whole recipe of one arm."""
    head = {"name": f"forgetting-{name}-{seed}", "seed": seed, "device": "cpu", "offline": True}
    image = {"min_pixels": 1024, "max_pixels": 9216}
    own = arm(name, None if steps is None else round(steps / scale))  # `steps` is of the scaled world already
    return {**head, "image": image, "stages": scaled({**shared(), **own}, scale)}


def scaled(value: Any, scale: float) -> Any:
    """Every count of a recipe times ``scale``."""
    if isinstance(value, dict):
        counts = ("images", "items", "max_steps", "pairs")
        return {
            key: max(2, round(one * scale)) if key in counts and isinstance(one, int) else scaled(one, scale)
            for key, one in value.items()
        }
    return value


# ---- running ---------------------------------------------------------------------------------------------------


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
        spent = sum(trained_tokens(stage, run) for stage in TRAINED)
        if name == OURS:
            budget, ours = spent, run
        if missing:
            line = {"seed": seed, "arm": name, "recipe": digest, **figures(run), "tokens": round(spent)}
            with open(results, "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


TRAINED = ("domain", "restore", "align", "alone", "mixed")


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
    if stage not in run:
        return 0.0
    settings = read_json(run[stage] / "stage.json")["settings"]
    return float(settings["max_steps"] * BATCH * mean_length(settings["data"], run))


def tokens_per_sample(name: str, run: dict[str, Path]) -> float:
    """Mean length of what a one-stage arm would train on."""
    (stage,) = (s for key, s in arm(name, 1).items() if key in TRAINED)
    return mean_length(stage["data"], run)


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


# ---- table -----------------------------------------------------------------------------------------------------


def read(path: Path) -> list[Line]:
    """All lines so far; of several for one seed and arm the last one counts."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
    return list({(line["seed"], line["arm"]): line for line in lines}.values())


def interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % t-interval of the mean; endless with fewer than two values."""
    from scipy import stats

    if len(values) < 2:
        return (-float("inf"), float("inf"))
    half = float(stats.t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / len(values) ** 0.5
    mean = statistics.mean(values)
    return mean - half, mean + half


def p_value(differences: Sequence[float]) -> float:
    """Two-sided paired t-test that the mean difference is 0."""
    from scipy import stats

    if len(differences) < 2:
        return 1.0
    if len(set(differences)) == 1:  # no spread: the test is undefined
        return 1.0 if differences[0] == 0 else 0.0
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def decide(lines: Sequence[Line]) -> list[Line]:
    """Ours against every other arm on both metrics, over the seeds that both have."""
    by = {(line["arm"], line["seed"]): line for line in lines}
    compared = []
    for other in (name for name in ARMS if name != OURS):
        seeds = sorted(s for name, s in by if name == other and (OURS, s) in by)
        for metric in METRICS:
            d = [by[OURS, s][metric] - by[other, s][metric] for s in seeds]
            if d:
                compared.append({"other": other, "metric": metric, "d": d, "p": p_value(d)})
    for one, adjusted in zip(compared, holm([c["p"] for c in compared]), strict=True):
        sign = "win" if statistics.mean(one["d"]) > 0 else "loss"
        one |= {"holm": adjusted, "decision": sign if adjusted < 0.05 else "null"}
    return compared


def pareto(means: dict[str, tuple[float, float]]) -> set[str]:
    """Arms that no other arm beats on one metric without losing on the other."""
    return {
        name
        for name, mine in means.items()
        if not any(all(b >= a for a, b in zip(mine, his, strict=True)) and his != mine for his in means.values())
    }


def table(lines: Sequence[Line]) -> str:
    """Both tables as Markdown."""
    found = {name: [line for line in lines if line["arm"] == name] for name in ARMS}
    found = {name: own for name, own in found.items() if own}
    means = {name: tuple(statistics.mean(x[m] for x in own) for m in METRICS) for name, own in found.items()}
    front = pareto(means)  # type: ignore[arg-type]
    text = f"| arm | seeds | {' | '.join(METRICS.values())} | general (%) | trained tokens | on the Pareto front |\n"
    text += "|---|---|" + "---|" * (len(METRICS) + 3) + "\n"
    for name, own in found.items():
        cells = [_with_interval([line[m] for line in own]) for m in METRICS]
        general = statistics.mean(line["general"] for line in own)
        tokens = statistics.mean(line["tokens"] for line in own)
        row = [name, str(len(own)), *cells, f"{general:.1f}", f"{tokens:,.0f}", "yes" if name in front else "no"]
        text += f"| {' | '.join(row)} |\n"
    text += f"\nDifferences, {OURS} minus the other arm, paired by seed:\n\n"
    text += "| against | metric | difference | p | p (Holm) | decision |\n|---|---|---|---|---|---|\n"
    for c in decide(lines):
        row = [c["other"], METRICS[c["metric"]], _with_interval(c["d"]), f"{c['p']:.3f}", f"{c['holm']:.3f}"]
        text += f"| {' | '.join(row)} | **{c['decision']}** |\n"
    return text


def _with_interval(values: Sequence[float]) -> str:
    low, high = interval(values)
    shown = f"[{low:.1f}, {high:.1f}]" if len(values) > 1 else "(one seed)"
    return f"{statistics.mean(values):.1f} {shown}"


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
    hosts = ", ".join(f"{name} {compat.installed(name)}" for name in compat.HOSTS)
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
