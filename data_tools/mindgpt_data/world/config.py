"""What a recipe may say about the rendered world; the recipe's ``world`` stage adds ``kind`` and the shared keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mindgpt_data.schema.config import GATES, BudgetBounds, DataSettings, DensitySettings, EstimatorChoice, GateChoice
from mindgpt_data.schema.focus import Focused
from mindgpt_data.world.labels import locate_tree_file
from mindgpt_plugins.core.schema import Strict

Share = Annotated[float, Field(ge=0, le=1)]


class Scenes(Strict):
    """How many pictures and questions of one source a set gets."""

    images: int = Field(gt=0, description="Pictures that are rendered.")
    items: int | None = Field(
        None, gt=0, description="Corpus budget in QA, met exactly; default: 1 + 7·IDS per image, no corpus budget."
    )
    difficulty: tuple[Share, Share] = Field((0.0, 1.0), description="Range of scene grades, 0 easy to 1 hard.")
    skew: float = Field(1.0, gt=0, description="Grade = low + (high - low)·u^skew; above 1 favours easy scenes.")
    unseen: Share = Field(0.0, description="Share of scenes with a combination no training set contains.")

    @model_validator(mode="after")
    def _ordered(self) -> Scenes:
        if self.difficulty[0] > self.difficulty[1]:
            raise ValueError(f"difficulty must go from low to high, got {list(self.difficulty)}")
        return self


class SetConfig(Strict):
    """One dataset of the stage, referred to as ``<stage>/<set>``."""

    split: Literal["train", "dev", "test"] = Field("train", description="dev and test are held out from every other.")
    sources: dict[Literal["general", "domain"], Scenes] = Field(
        min_length=1, description="Source → its pictures and questions."
    )
    verbose: Share = Field(0.3, description="Share of replies that look before they answer.")
    focus: Focused = Field(
        None, description="An earlier evaluate stage, or its branches.json: its weak leaves get more of the questions."
    )

    @model_validator(mode="after")
    def _unseen_is_held_out(self) -> SetConfig:
        if self.split == "train" and any(s.unseen for s in self.sources.values()):
            raise ValueError("unseen combinations are for dev and test sets; a train set must not hold them")
        if self.split != "train" and self.focus is not None:
            raise ValueError("a focus is for train sets; a held-out set that leans to weak leaves measures nothing")
        return self


class World(Strict):
    """The rendered world."""

    size: int = Field(96, ge=64, le=256, multiple_of=32, description="Side of the square pictures in pixels.")


class Density(DensitySettings):
    """How density is measured; by default from what the scenes hold."""

    estimator: EstimatorChoice = Field(EstimatorChoice(name="annotations"), description="What measures density.")


class WorldSettings(Strict):
    """What is rendered, and what the ordinary steps are told about every set."""

    world: World = Field(default_factory=World)
    density: Density = Field(default_factory=Density)
    budget: BudgetBounds = Field(default_factory=BudgetBounds)
    gates: tuple[GateChoice, ...] = Field(GATES, description="Gates in order; what a gate is told here wins.")
    sets: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")], SetConfig] = Field(
        min_length=1, description="Set → what it holds; its name is the data set <stage>/<set>."
    )

    @property
    def order(self) -> list[str]:
        """Names of the sets in the order they are made: held-out sets first, so that the others can be compared."""
        return sorted(self.sets, key=lambda name: self.sets[name].split == "train")


OPTIONS: dict[str, dict[str, Any]] = {
    # The same question about another picture is another question, whatever topic it is about.
    "duplicates": {"within_leaf": None},
    # A scene of few shapes looks like many others to a perceptual hash, and every question is of a template that
    # thousands of pictures share; scenes that are alike to the eye are kept apart when they are drawn.
    "decontaminate": {"n": None, "picture_distance": None},
}
"""Options of the gates: rendered pictures are the same only pixel by pixel."""
SPARE = 1
"""Questions per picture beyond its budget: they make good for pictures that cannot fill theirs."""


def build_data_settings(
    world: WorldSettings, name: str, corpora: Path, datasets: Path, branches: Callable[[str], str]
) -> DataSettings:
    """The settings of the ordinary steps for one set.

    Args:
        world: all sets.
        name: of the set.
        corpora: where the sets' corpora lie, ``<corpora>/<set>/manifest.jsonl``.
        datasets: the folder that all sets are exported to.
        branches: turns what a focus names into the path of a branch file.
    """
    one = world.sets[name]
    held_out = [other for other in world.order if world.sets[other].split != "train" and other != name]
    items = {source: scenes.items for source, scenes in one.sources.items() if scenes.items is not None}
    return DataSettings.model_validate(
        {
            "images": {"path": str(corpora / name / "manifest.jsonl")},
            "tree": {axis: str(locate_tree_file(axis)) for axis in ("knowledge", "capability")},
            "density": world.density.model_dump(),
            "budget": {**world.budget.model_dump(), "sources": items},
            "generate": {"teacher": "annotations", "verbose": one.verbose, "spare": SPARE},
            "filter": {
                "gates": [
                    {"name": gate.name, "options": {**OPTIONS.get(gate.name, {}), **gate.options}}
                    for gate in world.gates
                ],
                "against": [str(datasets / other) for other in held_out if one.split == "train"],
            },
            "export": {"name": name, "split": one.split},
            "focus": None if one.focus is None else {**one.focus.model_dump(), "file": branches(one.focus.file)},
        }
    )
