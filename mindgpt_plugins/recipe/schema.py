"""The recipe: what a whole post-training run is, as validated data."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from mindgpt_plugins.core.folders import STAGES
from mindgpt_plugins.core.image_size import MAX_PIXELS, MIN_PIXELS
from mindgpt_plugins.core.names import LONGEST_NAME, ROOM
from mindgpt_plugins.core.schema import OUTSIDE, Seed, StageConfig, Strict, VariableName
from mindgpt_plugins.families import Thinking

HIDDEN = str(SecretStr("any"))
"""How a value of ``launch.*.env`` is written down."""


class ImageSize(Strict):
    """One image size for every stage, so that training, rollout and evaluation see the same visual tokens."""

    min_pixels: int = Field(MIN_PIXELS, gt=0, description="Smaller images are enlarged to this many pixels.")
    max_pixels: int = Field(MAX_PIXELS, gt=0, description="Larger images are shrunk to this many pixels.")

    @field_validator("max_pixels")
    @classmethod
    def _ordered(cls, value: int, info: Any) -> int:
        if value < info.data.get("min_pixels", 0):
            raise ValueError(f"max_pixels {value} is below min_pixels {info.data['min_pixels']}")
        return value


class Launch(Strict):
    """How one side's processes are started."""

    python: str | None = Field(None, description="Interpreter, e.g. env/verl/bin/python; default: the current one.")
    env: dict[VariableName, SecretStr] = Field(
        default_factory=dict,
        description="Environment variables that are added to the side's processes. A run writes down their names only; "
        "keys and tokens are refused, see `env_from`.",
    )
    env_from: tuple[VariableName, ...] = Field(
        (),
        description="Names of variables that the side's processes need and take from where `mindgpt` is started, e.g. "
        "[HF_TOKEN]; a stage does not start without them.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if twice := sorted({*self.env} & {*self.env_from}):
            raise ValueError(f"{twice[0]} is under env and env_from; keep one")
        if hidden := [name for name, value in self.env.items() if value.get_secret_value() == HIDDEN]:
            raise ValueError(f"env.{hidden[0]} was hidden when a run wrote its recipe down; run the recipe itself")
        return self

    def reveal_env(self) -> dict[str, str]:
        """``env`` with its values, for a process."""
        return {name: value.get_secret_value() for name, value in self.env.items()}


class ReportSettings(Strict):
    """What the pages of a run may show."""

    pictures: tuple[str, ...] = Field(
        (),
        description="Folders, from the recipe's, whose pictures pages may embed beside those in the sets' own folders. "
        "A row can name any file of the machine, and pages are shared.",
    )


class RecipeHead(Strict):
    """Everything of a recipe but its stages."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        max_length=LONGEST_NAME - ROOM,
        description="Name of the recipe; its runs lie in a folder of that name.",
    )
    description: str = Field("", description="What the recipe is for, in a sentence.")
    seed: Seed = Field(0, description="Seed of every stage that does not set its own.")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where the stages run; auto takes accelerators when there are any, else the CPU."
    )
    offline: bool = Field(False, description="Never contact a model hub (sets HF_HUB_OFFLINE=1).")
    plugins: tuple[str, ...] = Field((), description="Modules or .py files to import in every process that needs them.")
    image: ImageSize = Field(
        ImageSize(),
        description="Sizes of pictures, the same for every stage, so that training, rollout and evaluation "
        "see the same visual tokens.",
    )
    thinking: Thinking = Field(
        "model",
        description="Whether models write their thoughts before a reply, in every stage: training, rollouts, "
        "evaluation, serving. model: as the model's own chat template does when nobody says.",
    )
    launch: dict[str, Launch] = Field(
        default_factory=dict,
        description="Side of a stage kind (data, sft, rl, …) → how its processes are started. Each may live in its own "
        "environment: verl and LLaMA-Factory agree on one narrow transformers window.",
    )
    report: ReportSettings = Field(ReportSettings(), description="What the pages of a run may show.")

    @field_validator("thinking", mode="before")
    @classmethod
    def _yaml_switch(cls, value: Any) -> Any:
        return {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value  # YAML 1.1's on, off

    @field_validator("name")
    @classmethod
    def _beside_stages(cls, value: str) -> str:
        if value == STAGES:
            raise ValueError(f"a recipe cannot be called {value!r}: the runs folder keeps its stages under that name")
        return value


class Recipe(RecipeHead):
    """A validated recipe. ``stages`` keeps the order of the file; a stage refers only to earlier ones."""

    path: Path
    stages: dict[str, StageConfig]

    @property
    def folder(self) -> Path:
        """Folder that relative paths in the recipe start from."""
        return self.path.parent

    def launch_of(self, side: str) -> Launch:
        """How the processes of a side are started."""
        return self.launch.get(side, Launch())

    def inputs(self, stage: str) -> list[str]:
        """Names of the stages that ``stage`` refers to, in recipe order."""
        heads = {
            value if to != "dataset" else value.rpartition("/")[0]
            for to, value in self.stages[stage].references()
            if to not in OUTSIDE
        }
        return [name for name in self.stages if name in heads]
