"""The recipes of the closed-loop experiment, and the first round with holes in it."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from mindgpt_data.export import read_set, write_set

ARMS = ("focused", "plain")
FOCUS = {"file": "eval_first", "set": "dev", "target": 0.3}
"""Weak: the lower bound of the dev accuracy is under 0.3; strength, bounds and prior are the defaults."""
BATCH = 16
STEPS = {"first": 800, "round2": 160}
TOPICS, LEFT = 5, 0.04
"""Knowledge leaves that the first round nearly lacks, and the share of their questions that is left in it."""

Stages = dict[str, dict[str, Any]]


def first_recipe(seed: int, scale: float) -> dict[str, Any]:
    """Only the world: what :func:`uneven` cuts holes into."""
    return _recipe(f"closed-loop-first-{seed}", seed, {"world": _world(scale)})


def loop_recipe(seed: int, scale: float, folder: str) -> dict[str, Any]:
    """First round → evaluation → the second round with and without its focus → evaluations.

    Args:
        seed: of everything.
        scale: times every count.
        folder: of the uneven domain set, beside the recipe.
    """
    data = [{"set": "world/general_train", "weight": 1}, {"set": f"{folder}/domain_first", "weight": 1}]
    curriculum = {"name": "easy_to_hard", "options": {"pacing": "linear", "start": 0.1}}
    stages: Stages = {
        "world": _world(scale),
        "model": {"kind": "model", "tokenizer_from": ["world/general_train", "world/domain_train"]},
        "first": _training("model", data, round(STEPS["first"] * scale), curriculum=curriculum),
        "eval_first": _evaluation("first", ["world/dev", "world/test"]),
    }
    for arm in ARMS:
        stages[f"world_{arm}"] = _second(scale, FOCUS if arm == "focused" else None)
        stages[arm] = _training("first", [f"world_{arm}/round2"], round(STEPS["round2"] * scale))
        stages[f"eval_{arm}"] = _evaluation(arm, ["world/test"])
    return _recipe(f"closed-loop-{seed}", seed, stages)


def uneven(world: Path, folder: Path, seed: int) -> dict[str, list[str]]:
    """Write ``domain_first``: the domain set without nearly all questions about a few random topics.

    Args:
        world: the datasets folder of the whole set.
        folder: written once; its pictures are links to those of ``world``.
        seed: which topics, and which questions are left.

    Returns:
        Axis → the starved leaves.
    """
    told = folder / "starved.json"
    if told.is_file():
        starved: dict[str, list[str]] = json.loads(told.read_text(encoding="utf-8"))
        return starved
    rng = random.Random(f"{seed}/uneven")
    rows = read_set(world, "domain_train")
    topics = rng.sample(sorted({row.knowledge for row in rows if row.knowledge}), TOPICS)
    starved = {"knowledge": sorted(topics)}
    kept = [row for row in rows if row.knowledge not in topics or rng.random() < LEFT]
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "images").is_symlink():
        (folder / "images").symlink_to(world / "images")
    write_set(kept, folder, "domain_first")
    told.write_text(json.dumps(starved) + "\n", encoding="utf-8")
    return starved


def _world(scale: float) -> dict[str, Any]:
    train = {
        "general_train": {"sources": {"general": _scenes(5000, 9000, scale, skew=1.7)}},
        "domain_train": {"sources": {"domain": _scenes(2600, 6000, scale)}},
    }
    return {"kind": "world", "world": {"size": 96}, "budget": {"n_max": 6}, "sets": train | _held_out(scale)}


def _second(scale: float, focus: dict[str, Any] | None) -> dict[str, Any]:
    """The second round. Its held-out sets are those of the first, so that no picture of it is in them."""
    sources = {"general": _scenes(300, 450, scale), "domain": _scenes(800, 2400, scale)}
    sets = _held_out(scale) | {"round2": {"sources": sources, **({} if focus is None else {"focus": focus})}}
    return {"kind": "world", "world": {"size": 96}, "budget": {"n_max": 6}, "sets": sets}


def _held_out(scale: float) -> Stages:
    dev = {"general": _scenes(600, 600, scale), "domain": _scenes(1200, 1200, scale)}
    test = {"general": _scenes(600, 600, scale), "domain": _scenes(1600, 1600, scale)}
    return {"dev": {"split": "dev", "sources": dev}, "test": {"split": "test", "sources": test}}


def _scenes(images: int, items: int, scale: float, **more: Any) -> dict[str, Any]:
    return {"images": max(4, round(images * scale)), "items": max(4, round(items * scale)), **more}


def _training(model: str, data: list[Any], steps: int, **more: Any) -> dict[str, Any]:
    return {
        "kind": "sft",
        "model": model,
        "data": data,
        "max_steps": max(2, steps),
        "lr": 5.0e-4,
        "warmup": 0.05,
        "batch_size": BATCH,
        "freeze_vision_tower": False,
        "cutoff_len": 128,
        "save_steps": 500,
        "logging_steps": 20,
        **more,
    }


def _evaluation(model: str, sets: list[str]) -> dict[str, Any]:
    """Greedy replies only."""
    return {"kind": "evaluate", "model": model, "sets": sets, "samples": None, "blank": False}


def _recipe(name: str, seed: int, stages: Stages) -> dict[str, Any]:
    head = {"name": name, "seed": seed, "device": "cpu", "offline": True}
    return {**head, "image": {"min_pixels": 1024, "max_pixels": 9216}, "stages": stages}
