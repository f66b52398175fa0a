"""The recipes of the forgetting ablation: what all arms of a seed share, and what each one does with it."""

from __future__ import annotations

from typing import Any

OURS = "three_stage_kl"
ARMS = (OURS, "three_stage", "three_stage_dynamic", "stage1", "one_mix", "interpolation")
"""In the order they are run: the first one sets the token budget."""
BATCH = 16
STEPS = {"base": 1000, "domain": 400, "restore": 350, "align": 30}

Stages = dict[str, dict[str, Any]]


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
            curriculum={"name": "easy_to_hard", "options": {"pacing": "linear", "start": 0.1}},
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
            more["mixture"] = {"name": "dynamic", "options": {"weights": {"general": 0.7, "domain": 0.3}, "every": 25}}
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


def trained(name: str) -> tuple[str, ...]:
    """The stages an arm's model went through after the base, which is every arm's start: their tokens count."""
    return (
        ("domain", "restore", "align")
        if name.startswith("three_stage")
        else ("mixed" if name == "one_mix" else "alone",)
    )


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
