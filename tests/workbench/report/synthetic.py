"""A run folder as the runner and the stages would leave it, without training anything."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mindgpt_data.export import write_set
from mindgpt_data.schema.rows import Row

from mindgpt_plugins.core.artefacts import record_artefacts
from mindgpt_plugins.stages.evaluate import forgetting, scoring

MODELS = ("base", "domain", "restore", "align", "rl")
TASKS = {
    "general": ("perception.colour", "perception.count", "perception.position", "perception.shape", "reading.word"),
    "domain": ("domain.sign", "domain.vehicle"),
}
SKILL = {
    "base": (0.80, 0.15),
    "domain": (0.55, 0.72),
    "restore": (0.79, 0.68),
    "align": (0.80, 0.69),
    "rl": (0.85, 0.78),
}
COLOURS = ("red", "green", "blue", "yellow")
EVALUATED = {"scores": "scores.json", "predictions": "predictions.jsonl"}
STAGES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("world", "world", ()),
    ("tiny", "model", ()),
    ("base", "sft", ("tiny", "world")),
    ("evaluate_base", "evaluate", ("base", "world")),
    ("domain", "sft", ("base", "world")),
    ("evaluate_domain", "evaluate", ("domain", "world")),
    ("restore_data", "rejection_sampling", ("base", "domain", "world")),
    ("restore", "sft", ("domain", "restore_data")),
    ("evaluate_restore", "evaluate", ("restore", "world", "evaluate_base", "evaluate_domain")),
    ("pairs", "preference_pairs", ("restore", "world")),
    ("align", "dpo", ("restore", "pairs")),
    ("evaluate_align", "evaluate", ("align", "world", "evaluate_base", "evaluate_domain")),
    ("rl", "rl", ("align", "world")),
    ("evaluate_rl", "evaluate", ("rl", "world", "evaluate_base", "evaluate_domain")),
)


def make(root: Path, *, per_task: int = 120, until: str | None = None, seed: int = 0) -> Path:
    """Write ``root/quickstart`` with its stages under ``root/stages``.

    Args:
        root: folder for everything.
        per_task: held-out items per task.
        until: last finished stage; the next one is half done, the others are pending.
        seed: of all made-up figures.
    """
    run = root / "quickstart"
    run.mkdir(parents=True)
    rng = random.Random(seed)
    names = [name for name, _, _ in STAGES]
    last = names.index(until) if until else len(names)
    entries = []
    predictions: dict[str, list[dict[str, Any]]] = {}
    world = root / "stages/world-0"
    for i, (name, kind, inputs) in enumerate(STAGES):
        folder = root / f"stages/{name}-{i:x}"
        status = "done" if i <= last else ("running" if i == last + 1 else "pending")
        entries.append(
            {
                "name": name,
                "kind": kind,
                "folder": f"../stages/{folder.name}",
                "hash": f"{i:012x}",
                "status": status,
                "seconds": 40.0 + 37 * i if status == "done" else 0.0,
                "peak_rss_bytes": (6 if kind == "rl" else 1) * 10**9 + i * 10**7 if status == "done" else 0,
                "inputs": list(inputs),
            }
        )
        if status == "pending":
            continue
        folder.mkdir(parents=True)
        settings = {"kind": kind, "model": inputs[0]} if kind in ("sft", "dpo", "rl", "evaluate") else {"kind": kind}
        _json(folder / "stage.json", {"name": name, "kind": kind, "settings": settings, "image": {}})
        (folder / "command.sh").write_text(f"#!/usr/bin/env bash\ncd {folder}\npython -m some.host {name}.yaml\n")
        (folder / f"{name}.yaml").write_text(f"learning_rate: 1.0e-5\nmodel: {inputs[0] if inputs else 'none'}\n")
        _lines(folder / "metrics.jsonl", _metrics(kind, rng, 40 if status == "running" else 300))
        if status == "running":
            with (folder / "metrics.jsonl").open("a") as out:
                out.write('{"step": 41, "to')  # being written right now
            continue
        if kind == "world":
            _world(folder, per_task, rng)
        elif kind == "evaluate":
            predictions[inputs[0]] = _evaluation(folder, inputs[0], world, predictions, rng)
        elif kind == "rl":
            _rollouts(folder, world, rng)
        elif kind == "rejection_sampling":
            _json(folder / "summary.json", _restore_summary())
        elif kind == "preference_pairs":
            _json(folder / "summary.json", _pairs_summary())
        if kind == "evaluate":
            promised = {name: str(folder / file) for name, file in EVALUATED.items()}
        else:
            promised = {"datasets": str(folder / "datasets")} if kind == "world" else {}
        record_artefacts(folder, promised)
    _json(
        run / "manifest.json",
        {
            "version": 1,
            "recipe": "quickstart",
            "recipe_path": "recipes/quickstart.yaml",
            "created": "2026-01-02T03:04:05+00:00",
            "stages": entries,
            "resolved": "recipe.resolved.yaml",
        },
    )
    (run / "recipe.resolved.yaml").write_text("name: quickstart\nseed: 0\nstages:\n  world: {kind: world}\n")
    return run


def _world(folder: Path, per_task: int, rng: random.Random) -> None:
    from PIL import Image, ImageDraw

    datasets = folder / "datasets"
    (datasets / "images").mkdir(parents=True)
    names = []
    for i in range(24):
        image = Image.new("RGB", (96, 96), "white")
        for _ in range(1 + i % 4):
            x, y = rng.randint(4, 60), rng.randint(4, 60)
            ImageDraw.Draw(image).rectangle([x, y, x + 28, y + 28], fill=rng.choice(COLOURS))
        names.append(f"images/{i}.png")
        image.save(datasets / names[-1])
    rows = [
        Row(
            uid=f"{capability}-{i}",
            image=[names[(i + t) % len(names)]],
            question=f"what about {capability.partition('.')[2]} <of> the {i % 7}th thing?",
            answer=COLOURS[i % 4],
            response=f"answer: {COLOURS[i % 4]}",
            answer_type="text",
            source=source,
            capability=capability,
            knowledge=("vehicles.road.car", "vehicles.air.plane", "signs.warning")[i % 3] if t == 0 else None,
            difficulty=(i % 10) / 10,
            split="test",
        )
        for source, capabilities in TASKS.items()
        for t, capability in enumerate(capabilities)
        for i in range(per_task)
    ]
    write_set(rows, datasets, "test")
    funnel = {
        "passed": {"rendered": 2600, "images": 2500, "candidates": 9000, "items": 7000},
        "dropped": [
            {"gate": "decontaminate", "reason": "picture in a held-out set", "count": 40, "examples": ["a red square"]},
            {"gate": "rules", "reason": "answer in the question", "count": 12, "examples": ["is it red? → red"]},
        ],
    }
    one = {
        "split": "train",
        "items": 7000,
        "images": 2500,
        "funnel": funnel,
        "ids_histogram": [20, 120, 300, 520, 610, 480, 260, 130, 50, 10],
        "budget_by_ids": [1.0, 1.4, 1.9, 2.4, 2.9, 3.3, 3.9, 4.4, 5.1, None],
        "sub_scores": {"subjects": 2.1, "spatial": 1.8, "text": 0.7, "knowledge": 1.1},
        "capability": {c: 1400 - 120 * i for i, c in enumerate(TASKS["general"])},
        "knowledge": {"vehicles.road.car": 400},
        "answers": {"red": 900},
    }
    tree = {"leaves": 40, "covered": 0.775, "entropy": 0.91}
    sets = {"general_train": one, "domain_train": {**one, "items": 3000, "images": 1100}}
    _json(folder / "data_report.json", {"version": 1, "sets": sets, "tree": {"knowledge": tree, "capability": tree}})


def _evaluation(
    folder: Path, model: str, world: Path, earlier: dict[str, list[dict[str, Any]]], rng: random.Random
) -> list[dict[str, Any]]:
    datasets = world / "datasets"
    predictions = []
    for number, line in enumerate((datasets / "test.jsonl").read_text().splitlines()):
        row = json.loads(line)
        p = SKILL[model][row["source"] == "domain"]
        # One item has its own luck, shared by all models: evaluations are paired.
        luck = random.Random(row["uid"]).random()
        right = 0.8 * luck + 0.2 * rng.random() < p
        said = row["answer"] if right else "purple"
        samples = [{"correct": (c := rng.random() < p), "tokens": 7 + 2 * c, "reply": ""} for _ in range(8)]
        predictions.append(
            {
                "uid": row["uid"],
                "set": "test",
                "source": row["source"],
                "knowledge": row["knowledge"],
                "capability": row["capability"],
                "difficulty": row["difficulty"],
                "reply": f"i look at the <picture>: it is {said}. answer: {said}" if number % 3 else f"answer: {said}",
                "answer": said,
                "correct": right,
                "tokens": 9 if number % 3 else 4,
                "samples": samples if number % 3 == 0 else [],
                "blank_correct": rng.random() < 0.2 if number % 3 == 0 else None,
            }
        )
    _lines(folder / "predictions.jsonl", predictions)
    _json(folder / "evaluate.json", {"sets": [{"folder": str(datasets), "name": "test"}]})
    gate = None
    if model in ("restore", "align", "rl"):

        def judged(lines: list[dict[str, Any]], source: str) -> dict[str, tuple[str, bool]]:
            return {p["uid"]: (p["capability"], p["correct"]) for p in lines if p["source"] == source}

        base, peak = earlier["base"], earlier["domain"]
        result = forgetting.judge_forgetting_gate(
            judged(base, "general"),
            judged(predictions, "general"),
            judged(base, "domain"),
            judged(predictions, "domain"),
            judged(peak, "domain"),
            margin=0.03 if model == "align" else 0.08,
        )
        gate = {"set": "test", "groups_by": "capability", "on_fail": "continue", **result}
    scores = {
        "version": scoring.VERSION,
        "model": model,
        "sets": ["test"],
        "general": ["general"],
        "domain": ["domain"],
        "samples": {"n": 8, "rows": 40, "temperature": 1.0},
        "seed": 0,
        "cells": scoring.aggregate_cells(predictions),
        "gate": gate,
    }
    _json(folder / "scores.json", scores)
    return predictions


def _metrics(kind: str, rng: random.Random, steps: int) -> Iterator[dict[str, float]]:
    for step in range(1, steps + 1):
        line: dict[str, float] = {"step": step, "total": 300}
        fall = math.exp(-step / 80)
        if kind in ("sft", "dpo"):
            line |= {
                "loss": 0.2 + 2 * fall + 0.1 * rng.random(),
                "lr": 1e-3 * (1 - step / 300),
                "grad_norm": rng.random(),
            }
        if kind == "sft":
            line |= {"loss/general": 0.2 + 1.8 * fall, "loss/domain": 0.3 + 2.4 * fall, "tokens/general": 900}
        if kind == "dpo":
            line |= {"rewards/chosen": 1 - fall, "rewards/rejected": fall - 1, "rewards/accuracies": 1 - fall / 2}
        if kind == "rl":
            line |= {
                "score/mean": 0.7 - 0.2 * fall,
                "score/modulated_mean": 0.68 - 0.2 * fall,
                "group/pass@1": 0.7 - 0.2 * fall,
            }
            line |= {"group/pass@4": 0.85 - 0.1 * fall, "group/all_correct": 0.4, "group/all_wrong": 0.1}
            line |= {
                f"reward/{name}/mean": v + 0.05 * rng.random() for name, v in (("accuracy", 0.6), ("format", 0.95))
            }
            line |= {
                "reward/conciseness/weight": 0.2 * step / 300,
                "reply/tokens": 12 - step / 60,
                "actor/entropy": fall,
            }
        yield line


def _rollouts(folder: Path, world: Path, rng: random.Random) -> None:
    rows = [json.loads(line) for line in (world / "datasets/test.jsonl").read_text().splitlines()]
    for step in range(1, 61):
        lines = []
        for g in range(3):
            row = rng.choice(rows)
            for session in range(8):
                right = rng.random() < 0.5
                said = row["answer"] if right else "purple"
                lines.append(
                    {
                        "input": row["question"],
                        "output": f"it is {said}. answer: {said}",
                        "gts": row["answer"],
                        "score": float(right),
                        "step": step,
                        "row": row["uid"],
                        "source": row["source"],
                        "image": row["image"],
                        "group": f"s{step}p{g}",
                        "session": session,
                        "advantage": round(rng.uniform(0, 1) if right else rng.uniform(-1, 0), 3),
                        "components": {
                            "accuracy": float(right),
                            "format": 1.0,
                            "conciseness": None if not right else 0.25,
                        },
                    }
                )
        (folder / "rollouts").mkdir(exist_ok=True)
        _lines(folder / f"rollouts/{step}.jsonl", lines)


def _restore_summary() -> dict[str, Any]:
    return {
        "version": 1,
        "set": "restore",
        "rows": 2000,
        "own": 1400,
        "prompts": 1800,
        "accepted": 1500,
        "dropped": {"no right answer": 300, "not drawn": 240},
        "repeated": 31,
        "acceptance": {c: 0.9 - 0.07 * i for i, c in enumerate(TASKS["general"])},
        "drawn": {c: 280 for c in TASKS["general"]},
        "solve_rate": {"before": 0.78, "after": 0.52},
        "replay": [{"data": "domain_train", "rows": 600, "available": 3000, "repeated": 0}],
    }


def _pairs_summary() -> dict[str, Any]:
    kinds = {
        "right_wrong": {"wanted": 500, "candidates": 700, "taken": 560, "filled_in": 60, "missing": 0},
        "grounded_blind": {"wanted": 250, "candidates": 400, "taken": 250, "filled_in": 0, "missing": 0},
        "concise_verbose": {"wanted": 250, "candidates": 190, "taken": 190, "filled_in": 0, "missing": 60},
    }
    return {
        "version": 1,
        "set": "align",
        "pairs": 1000,
        "wanted": 1000,
        "short": 0,
        "prompts": 1000,
        "kinds": kinds,
        "dropped": {"no right reply": 80, "right replies only, all alike": 90},
        "acceptance": {},
        "pairs_by_capability": {},
    }


def _json(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, indent=1))


def _lines(path: Path, lines: Any) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
