"""Which part of the hybrid RL does what? Eleven arms on the tiny world, in a light loop without Ray, paired by seed.

    python benchmarks/rl/ablation.py --seeds 0 1 2 3 4 5     (a seed: 10 minutes for its start model, 2 for warm-up and
                                                             data, then half a minute per arm, on one idle core)
    python benchmarks/rl/ablation.py --table                 (only the table of what has been run)

The loop shares rewards, advantages, perception weights and the sampler of replies with the verl trainer; its loss is
verl's (clip 0.2/0.28, dual clip 3, token mean). Every arm of a seed starts from the same model, draws the same prompts
and as many replies, and replies use the same random numbers. The start model is the aligned one of
``benchmarks/sft/forgetting.py``, run by ``mindgpt run`` (and reused where it is), or that of ``--start``. It has never
refused, so all arms of a seed share a short supervised warm-up with refusals.

Killed at any moment, the same command goes on: finished arms are lines of ``benchmarks/results/rl_ablation.jsonl``. The
table beside it, ``rl_ablation.md``, decides every comparison by a paired t-test over seeds with Holm's correction.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "sft"))

import forgetting_arms
from ablation_arms import ARMS, MAIN, OURS, Settings
from ablation_table import Line, table

from mindgpt_plugins.core import compat
from mindgpt_plugins.core.files import read_json, replace_folder
from mindgpt_plugins.core.folders import find_run

RESULTS = Path(__file__).parent.parent / "results"


def run_seed(
    seed: int, names: list[str], settings: Settings, start: str | None, runs: Path, results: Path, scale: float
) -> None:
    """Run the arms of one seed that have no line yet; ``start`` among them is the model that all begin with."""
    common = identity(seed, settings, start, runs, scale)
    done = {(line["seed"], line["arm"], line["recipe"]) for line in read(results)}
    missing = [name for name in names if (seed, name, digest(common, name)) not in done]
    if not missing:
        return

    import torch
    from ablation_loop import reinforce
    from ablation_measures import measure
    from ablation_policy import Policy
    from ablation_prompts import Prompts

    torch.set_num_threads(1)
    folder = prepare(seed, settings, common, runs)
    prompts = Prompts(folder / "data", Policy(folder / "start", settings.max_tokens))
    for name in missing:
        started, busy = time.time(), time.process_time()
        policy = Policy(folder / "start", settings.max_tokens)
        figures: dict[str, Any] = {}
        if name in ARMS:
            figures = reinforce(policy, prompts, ARMS[name], settings, seed)
        figures |= measure(policy, prompts, settings, seed)
        line = {"seed": seed, "arm": name, "recipe": digest(common, name), "start": common["start"]}
        line |= {key: round(value, 6) if isinstance(value, float) else value for key, value in figures.items()}
        line |= {"seconds": round(time.time() - started, 1), "cpu_seconds": round(time.process_time() - busy, 1)}
        results.parent.mkdir(parents=True, exist_ok=True)
        with open(results, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(f"seed {seed}: {name}, {line['seconds']} s, pass@1 {line['pass@1']:.3f}", flush=True)


def identity(seed: int, settings: Settings, start: str | None, runs: Path, scale: float) -> dict[str, Any]:
    """What all arms of a seed share; makes the start model where there is none.

    Args:
        seed: of everything.
        settings: budgets.
        start: pattern of the start models' folders, or None for the forgetting benchmark's.
        runs: runs folder.
        scale: of the forgetting benchmark.
    """
    model = Path(start.format(seed=seed)) if start else aligned(seed, runs, scale)
    weights = model / "model.safetensors"
    if not weights.is_file():
        sys.exit(f"seed {seed}: {weights} is missing; --start must name a Hugging Face folder with safetensors")
    stamp = hashlib.sha256(weights.read_bytes()).hexdigest()
    return {"settings": asdict(settings), "start": stamp, "model": str(model)}


def prepare(seed: int, settings: Settings, common: dict[str, Any], runs: Path) -> Path:
    """A seed's folder with its prompts (``data``) and the warmed-up model that all arms start from (``start``)."""
    from ablation_loop import warm_up
    from ablation_policy import Policy
    from ablation_prompts import Prompts
    from ablation_world import make

    begun = {
        key: value for key, value in common["settings"].items() if key.startswith("warm_") or key.endswith("_rows")
    }
    stamp = hashlib.sha256(json.dumps([begun, common["start"]], sort_keys=True).encode()).hexdigest()[:8]
    folder = runs / "rl_ablation" / f"{seed}-{stamp}"
    make(folder / "data", seed, settings.warm_rows, settings.train_rows, settings.test_rows)
    start = folder / "start"
    if not start.is_dir():
        policy = Policy(common["model"], settings.max_tokens)
        warm_up(policy, Prompts(folder / "data", policy), settings, seed)
        with replace_folder(start) as aside:
            policy.model.save_pretrained(aside)
            policy.engine.family.processor.save_pretrained(aside)
    return folder


def aligned(seed: int, runs: Path, scale: float) -> Path:
    """The start model of a seed: base, domain, restoration and alignment of the forgetting benchmark."""
    content = forgetting_arms.recipe("three_stage_kl", seed, None, scale)
    path = runs / "forgetting" / f"three_stage_kl-{seed}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    print(f"seed {seed}: start model", flush=True)
    command = [sys.executable, "-m", "mindgpt_plugins.cli", "run", str(path), "--runs", str(runs)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    stages = read_json(find_run(runs, str(content["name"])) / "manifest.json")["stages"]
    return next(Path(stage["folder"]) for stage in stages if stage["name"] == "align") / "model"


def digest(common: dict[str, Any], name: str) -> str:
    """Of everything that decides an arm's figures but the code; ``start`` is no arm and trains nothing."""
    content = {key: common[key] for key in ("settings", "start")}
    content |= {"arm": asdict(ARMS[name])} if name in ARMS else {}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]


def read(path: Path) -> list[Line]:
    """All lines so far; of several for one seed and arm the last one counts."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
    return list({(line["seed"], line["arm"]): line for line in lines}.values())


def head(lines: list[Line], settings: Settings, scale: float) -> str:
    """What was run, and how to read it."""
    seeds = sorted({line["seed"] for line in lines})
    hosts = ", ".join(f"{name} {compat.find_installed_version(name)}" for name in compat.HOSTS)
    busy = [line["cpu_seconds"] for line in lines if line["arm"] in ARMS]
    command = f"python benchmarks/rl/ablation.py --seeds {' '.join(map(str, seeds))}"
    command += f" --scale {scale:g}" if scale != 1 else ""
    s = settings
    return f"""# RL ablation on the tiny world

`{command}`

{platform.machine()}, Python {platform.python_version()}, {hosts}; {sum(busy) / max(1, len(busy)):.0f} seconds of one
core per arm and seed.

Every arm: {s.steps} steps of {s.prompts} prompts × {s.group} replies of at most {s.max_tokens} tokens,
{s.mini_batches} updates a step, AdamW at {s.lr:g}, clip {s.clip[0]}/{s.clip[1]}, token mean; hyper-parameters
were chosen on a development seed that is not among these. In arms with twins {ARMS[OURS].twins} of a step's prompts are
unanswerable twins of two others, in place of other prompts: all arms draw as many replies. All arms of a
seed start from the same model (row
`start`): the aligned one of `benchmarks/sft/forgetting.py` (sha256 of its weights in every line), after {s.warm_steps}
supervised steps of {s.warm_batch} examples, a quarter of them unanswerable twins (blank picture, another picture, false
premise), because that model had never refused.

Held out: {s.test_rows} questions about new pictures (a quarter with combinations in no training set), {s.samples}
sampled replies each at temperature 1, unbiased pass@k. *Fabricated*: share of replies that answer although the evidence
is gone, by corruptions that no arm was trained on: a grey box over it, or a heavily blurred picture. *False refusal*:
share of replies that refuse what can be answered. *acc(blank)*: pass@1 with every picture uniformly grey; arms with
twins have learnt to refuse blank pictures, which lowers it and raises the difference by itself. *Tokens at equal
accuracy*: mean tokens of right replies over the questions that both arms answer right at least once, each
question counted once. *Order violations*: share of training groups with right and wrong replies in which some right
one got no larger advantage than some wrong one. Each seed has its own start model, pictures and random numbers.

Mean over seeds with its 95 % interval. Decisions: paired t-test over seeds, Holm-corrected over the other arms of each
metric, level 0.05; win and loss are from the point of view of `{OURS}`.

"""


def main() -> None:
    """Run what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(6)))
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--start", metavar="PATTERN", help="start models instead, e.g. 'models/{seed}'")
    parser.add_argument("--results", type=Path, default=RESULTS / "rl_ablation.jsonl")
    parser.add_argument("--scale", type=float, default=1.0, help="times every count of the worlds and of steps")
    parser.add_argument("--table", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    settings = Settings().scaled(arguments.scale)
    if not arguments.table:
        for arms in (["start", *MAIN], [name for name in ARMS if name not in MAIN]):
            names = [name for name in arms if name == "start" or name in arguments.arms]
            for seed in arguments.seeds:
                run_seed(seed, names, settings, arguments.start, arguments.runs, arguments.results, arguments.scale)
    lines = read(arguments.results)
    if not lines:
        sys.exit(f"{arguments.results} has no line yet")
    text = head(lines, settings, arguments.scale) + table(lines)
    print(text)
    arguments.results.with_suffix(".md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
