"""What the process of an ``interpolate`` stage is told: the stage's settings with every reference resolved."""

from __future__ import annotations

from typing import Literal

from mindgpt_plugins.core.schema import Strict
from mindgpt_plugins.generation.config import EngineSettings, SetLocation
from mindgpt_plugins.stages.evaluate.config import Groups


class ChooseJob(EngineSettings):
    """See :class:`~mindgpt_plugins.stages.interpolate.config.ChooseAlpha`; the model is θ1."""

    grid: list[float]
    sets: list[SetLocation]
    objective: Literal["domain", "mean"]
    rows: int | None
    general: list[str]
    domain: list[str]
    groups: Groups
    margin: float


class InterpolateJob(Strict):
    """Content of ``interpolate.json``: θ0 and θ1 as folders or hub ids, and a fixed alpha or how to choose one."""

    start: str
    end: str
    alpha: float | None
    choose: ChooseJob | None
