"""Every stage kind: its small stage in ``recipe.yaml``, what that reads, and how much of the run it gets."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
PICTURES = HERE.parents[2] / "recipes" / "data" / "example"
KILLS = 20


@dataclass(frozen=True)
class Kind:
    """A stage kind in the torture run.

    Attributes:
        stage: its stage in ``recipe.yaml``.
        reads: stages before it, which a place of its own gets from the straight run.
        hosts: modules without which it cannot run.
        kills: that it gets.
        why_fewer: why that is not :data:`KILLS`.
        thorough: is it cheap enough for three sizes of a full disk, and for what else is left out of the dear ones?
        varies: pattern of artefact files that no two straight runs make alike → why.
    """

    stage: str
    reads: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    kills: int = KILLS
    why_fewer: str = ""
    thorough: bool = True
    varies: Mapping[str, str] = field(default_factory=dict)

    def find_missing_host(self) -> str | None:
        """The first of its hosts that is not installed."""
        return next((host for host in self.hosts if importlib.util.find_spec(host) is None), None)


TRAINER, SAMPLER = ("llamafactory",), ("transformers", "torch")
TIMES = {
    "model/*training_args.bin": "paths and a time in a zip file, whose checksums follow them",
    "model/*_results.json": "seconds",
    "model/trainer_log.jsonl": "seconds",
    "model/trainer_state.json": "seconds",
}
"""Of LLaMA-Factory's files; weights, optimizer, scheduler and random states are compared."""
TAGS = {"model/*README.md": "a set of tags, in any order"}
KINDS = {
    "rl": Kind(
        "rl",
        ("world", "model", "sft"),
        ("verl", "ray"),
        kills=4,
        why_fewer="a start of Ray takes a minute",
        thorough=False,
    ),
    "sft": Kind("sft", ("world", "model"), TRAINER, thorough=False, varies=TIMES),
    "dpo": Kind("dpo", ("world", "model", "sft", "pairs"), TRAINER, thorough=False, varies=TIMES | TAGS),
    "rejection_sampling": Kind("sampled", ("world", "model", "sft"), SAMPLER),
    "preference_pairs": Kind("pairs", ("world", "model", "sft"), SAMPLER),
    "evaluate": Kind("evaluate", ("world", "model", "sft"), SAMPLER),
    "interpolate": Kind("between", ("world", "model", "sft"), SAMPLER),
    "model": Kind("model", ("world",), SAMPLER),
    "world": Kind("world"),
    "data": Kind("data"),
}
"""The dearest first, so that two lanes end at about the same time."""
NOT_TRIED = {
    "benchmark": "needs EvalScope in an interpreter of its own, and local copies of its data sets",
    "quantise": "needs llm-compressor in an interpreter of its own",
}


def list_stages() -> list[str]:
    """Stages of ``recipe.yaml`` in its order."""
    return list(_load_recipe()["stages"])


def write_recipe(path: Path, stages: tuple[str, ...]) -> None:
    """Write ``recipe.yaml`` with these stages only; a stage is the same, and has the same hash, in each of them."""
    recipe = _load_recipe()
    recipe["stages"] = {name: stage for name, stage in recipe["stages"].items() if name in stages}
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))


def _load_recipe() -> dict[str, Any]:
    recipe: dict[str, Any] = yaml.safe_load((HERE / "recipe.yaml").read_text().replace("PICTURES", str(PICTURES)))
    return recipe
