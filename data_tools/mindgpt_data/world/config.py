"""What a recipe may say about the rendered world; the recipe's ``world`` stage adds ``kind`` and the shared keys."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mindgpt_data.schema.config import GATES, AllocatorChoice, EstimatorChoice, GateChoice
from mindgpt_data.schema.focus import Focused
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
    focus: Focused = Field(
        None, description="An earlier evaluate stage, or its branches.json: its weak leaves get more of the questions."
    )

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

    @model_validator(mode="after")
    def _unseen_is_held_out(self) -> SetConfig:
        if self.split == "train" and any(s.unseen for s in self.sources.values()):
            raise ValueError("unseen combinations are for dev and test sets; a train set must not hold them")
        if self.split != "train" and any(s.focus for s in self.sources.values()):
            raise ValueError("a focus is for train sets; a held-out set that leans to weak leaves measures nothing")
        return self


class World(Strict):
    """The rendered world."""

    size: int = Field(96, ge=64, le=256, multiple_of=32, description="Side of the square pictures in pixels.")


class Density(Strict):
    """How image density is measured."""

    estimator: EstimatorChoice = Field(EstimatorChoice(name="annotations"), description="What measures density.")
    weights: dict[str, float] | None = Field(None, description="Weights of the four sub-scores; default equal.")


class Budget(Strict):
    """How QA are spread over images."""

    allocator: AllocatorChoice = Field(
        AllocatorChoice(name="density"), description="What spreads the budget: density, uniform, random or yours."
    )
    n_min: int = Field(1, ge=0, description="QA per image at least.")
    n_max: int = Field(8, ge=1, description="QA per image at most.")
    gamma: float = Field(
        1.0, ge=0, description="Sharpness: an image's share goes with IDS^gamma, 0 treats all images alike."
    )


class WorldSettings(Strict):
    """Everything :func:`mindgpt_data.world.pipeline.run` needs besides a seed and a folder."""

    world: World = Field(default_factory=World)
    density: Density = Field(default_factory=Density)
    budget: Budget = Field(default_factory=Budget)
    gates: tuple[GateChoice, ...] = Field(GATES, description="Gates in order; those that judge one item at a time.")
    sets: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")], SetConfig] = Field(
        min_length=1, description="Set → what it holds; its name is the data set <stage>/<set>."
    )
