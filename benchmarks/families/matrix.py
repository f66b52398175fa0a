"""Families × stages: each family's tiny model through the real hosts on CPU, sixteen rows learnt by heart.

    python benchmarks/families/matrix.py --folder runs/matrix
    python benchmarks/families/matrix.py --folder runs/matrix --families internvl gemma3 --stages model sft sft_eval

After supervised training a model knows its rows, so that the evaluator's accuracy on them is an oracle: far below 1,
what is asked is not what was trained. Resumable; the table goes to ``docs/models.md``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mindgpt_data.export import save_image, write_preference_set, write_set
from mindgpt_data.schema.rows import Pair, Row
from PIL import Image

from mindgpt_plugins.core import compat
from mindgpt_plugins.core.files import read_json, write_text
from mindgpt_plugins.core.folders import find_run
from mindgpt_plugins.stages.model.families import BUILDERS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "models.md"
FAMILIES = ("qwen3_vl", *BUILDERS)
TEXT_ONLY = ("llama", "qwen3")
STAGES = ("model", "sft", "sft_eval", "sampled", "dpo", "lora", "lora_eval", "rl")
INTRODUCTION = """# Models

No family is built in. What differs between models (how a picture becomes tokens, who writes the begin token, what ends
a reply, how thoughts are switched, which parameters are the vision tower's) is found from the model's own files;
`mindgpt model MODEL` prints it, with what each stage will do and what is refused:

    mindgpt model ./Qwen3-VL-8B-Instruct --max-pixels 1048576

`mindgpt validate` refuses in seconds what would fail after hours: a processor of another family, a tokenizer without
the picture's token, code of the folder's own, a chat template that is not the one trained, thoughts that cannot be
switched, a family that verl cannot take. Pages: [chat templates and thoughts](chat_template.md),
[pictures in RL](rl.md#pictures), [families that verl does not know](patches.md#families-that-verl-does-not-know).

## Families × stages
"""
COLOURS = {
    "red": (220, 30, 30), "green": (30, 160, 60), "blue": (40, 60, 220), "yellow": (240, 220, 40),
    "white": (255, 255, 255), "black": (0, 0, 0), "orange": (250, 140, 20), "violet": (140, 40, 200),
}  # fmt: skip
RECIPE: dict[str, Any] = {
    "device": "cpu",
    "offline": True,
    "thinking": "off",
    "image": {"min_pixels": 1024, "max_pixels": 9216},
}


def write_rows(folder: Path, *, pictures: bool) -> None:
    """Sets ``rows`` and ``align``: the colour and the first letter of eight plain pictures, or of eight words."""
    rows, pairs = [], []
    names = list(COLOURS)
    for at, (name, colour) in enumerate(COLOURS.items()):
        files = [save_image(Image.new("RGB", (80, 96), colour), folder)] if pictures else []
        asked = "the picture's colour" if pictures else f"word {at}"
        for question, answer in ((f"Name {asked}.", name), (f"Name the first letter of {asked}.", name[0])):
            uid = f"{name}-{len(rows)}"
            rows.append(Row(uid, files, question, answer, f"answer: {answer}", "text", "general", "perception.colour"))
            other = names[(at + 1) % len(names)]
            wrong = other if answer == name else other[0]
            if wrong != answer:
                pairs.append(Pair(rows[-1], f"answer: {answer}", f"answer: {wrong}", "right_wrong"))
    write_set(rows, folder, "rows")
    write_preference_set(pairs, folder, "align")


def make_recipe(family: str, sets: Path) -> dict[str, Any]:
    """The chain of one family."""
    training = {
        "model": "model", "data": [f"{sets}/rows"], "lr": 2e-3, "batch_size": 16, "freeze_vision_tower": False,
        "cutoff_len": 1024, "save_steps": 1000, "logging_steps": 20, "curriculum": "easy_to_hard",
    }  # fmt: skip
    evaluation = {"kind": "evaluate", "sets": [f"{sets}/rows"], "samples": None, "max_new_tokens": 12}
    prompts = {"prompts": [f"{sets}/rows"], "model": "sft", "max_new_tokens": 12}
    return {
        **RECIPE,
        "name": family,
        "stages": {
            "model": {
                "kind": "model", "family": family, "tokenizer_from": [f"{sets}/rows"], "vocab_size": 420,
                "hidden_size": 64, "layers": 2, "vision_hidden_size": 64, "vision_layers": 2, "max_length": 2048,
            },
            "sft": {"kind": "sft", **training, "max_steps": 100},
            "sft_eval": {**evaluation, "model": "sft"},
            "sampled": {"kind": "rejection_sampling", **prompts, "after": "sft", "samples": 2},
            "dpo": {"kind": "dpo", **training, "model": "sft", "data": [f"{sets}/align"], "lr": 1e-5, "max_steps": 3},
            "lora": {"kind": "sft", **training, "model": "sft", "finetuning": "lora", "max_steps": 3, "lr": 1e-5},
            "lora_eval": {**evaluation, "model": "lora"},
            "rl": {
                "kind": "rl", "model": "sft", "train": f"{sets}/rows", "rewards": {"accuracy": {"weight": 1.0}},
                "group_size": 4, "prompts_per_step": 4, "steps": 2, "lr": 1e-5, "max_prompt_tokens": 512,
                "max_response_tokens": 8, "micro_batch": 8, "curriculum": "shuffled",
            },
        },
    }  # fmt: skip


def run_stage(recipe: Path, runs: Path, stage: str) -> str | None:
    """Run a chain up to a stage; the line that says why it could not."""
    command = [sys.executable, "-m", "mindgpt_plugins.cli", "run", str(recipe), "--runs", str(runs), "--until", stage]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        return None
    said = [line.strip() for line in (done.stderr + done.stdout).splitlines() if "rror" in line]
    return said[-1] if said else f"exit status {done.returncode}"


def try_family(family: str, folder: Path, stages: Sequence[str]) -> dict[str, str]:
    """What came of each stage: ``works``, an accuracy, or the message it stopped with."""
    sets = folder / family / "sets"
    write_rows(sets, pictures=family not in TEXT_ONLY)
    recipe = folder / family / "recipe.yaml"
    write_text(recipe, json.dumps(make_recipe(family, sets), indent=1))  # JSON is YAML
    found: dict[str, str] = {}
    needs = {"sft_eval": "sft", "sampled": "sft", "dpo": "sft", "lora": "sft", "lora_eval": "lora"}
    for stage in stages:
        before = needs.get(stage, "sft" if stage == "rl" else "model")
        if stage != "model" and found.get(before) != "works":
            continue
        # Each stage in a recipe without the others that do not lead to it: one that fails costs no other.
        whole = make_recipe(family, sets)
        kept = {"model", "sft", before, stage}
        whole["stages"] = {name: one for name, one in whole["stages"].items() if name in kept}
        write_text(recipe, json.dumps(whole, indent=1))
        why = run_stage(recipe, folder / family / "runs", stage)
        found[stage] = "works" if why is None else why
        if why is None and stage.endswith("_eval"):
            scores = find_run(folder / family / "runs", family)
            manifest = read_json(scores / "manifest.json")
            where = next(Path(one["folder"]) for one in manifest["stages"] if one["name"] == stage)
            cell = next(c for c in read_json(where / "scores.json")["cells"] if c["capability"] == "all")
            found[stage] = f"{cell['accuracy']:.2f}"
        print(f"{family} {stage}: {found[stage]}", flush=True)
    return found


def write_page(results: Mapping[str, Mapping[str, str]], page: Path) -> None:
    """The table, and below it why a cell is empty."""
    hosts = ", ".join(
        f"{name} {compat.find_installed_version(name)}" for name in ("llamafactory", "verl", "transformers", "torch")
    )
    lines = [
        INTRODUCTION,
        f"Made by `python benchmarks/families/matrix.py` on CPU, {hosts}.",
        "Each model is tiny and of its family's own classes (`kind: model, family: …`); chat templates are in the",
        "family's form, not their files. `sft_eval` and `lora_eval` are the evaluator's greedy accuracy on 16 rows",
        "that the model has just learnt by heart: 1.00 where what is asked is what was trained. –: not tried.",
        "",
        "| family | " + " | ".join(STAGES[1:]) + " |",
        "|---" * len(STAGES) + "|",
    ]
    notes: list[str] = []
    for family, found in results.items():
        cells = []
        for stage in STAGES[1:]:
            said = found.get(stage, "–")
            if len(said) > 5:
                notes.append(f"{len(notes) + 1}. {family}, {stage}: {said}")
                said = f"refused ({len(notes)})" if "error" not in said[:12].lower() else f"stops ({len(notes)})"
            cells.append(said)
        lines.append(f"| `{family}` | " + " | ".join(cells) + " |")
    write_text(page, "\n".join([*lines, "", *notes, ""]))


def main() -> None:
    """Run what is asked for and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=FAMILIES)
    parser.add_argument("--folder", type=Path, required=True, help="for sets, runs and results.json")
    parser.add_argument("--stages", nargs="+", default=list(STAGES), choices=STAGES, help="in the chain's order")
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    folder = given.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "results.json"
    results = json.loads(kept.read_text()) if kept.is_file() else {}
    for family in given.families:
        results[family] = {**results.get(family, {}), **try_family(family, folder, given.stages)}
        write_text(kept, json.dumps(results, indent=1))
        write_page({name: results[name] for name in FAMILIES if name in results}, given.page)


if __name__ == "__main__":
    main()
