"""What the process of an ``evaluate`` stage is told: the stage's settings with every reference resolved."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from mindgpt_plugins.core.schema import Strict
from mindgpt_plugins.generation.config import EngineSettings, SetLocation
from mindgpt_plugins.stages.evaluate.config import Groups, PassAtKSampling


class GateJob(Strict):
    """See :class:`~mindgpt_plugins.stages.evaluate.config.Gate`."""

    before: Path
    peak: Path | None = None
    set: str
    groups: Groups
    margin: float
    keep_gain: float
    on_fail: Literal["stop", "continue", "extend"]


class EarlierEvaluation(Strict):
    """Predictions that every branch is compared with, and the name of the stage that made them."""

    name: str
    predictions: Path


class EvaluateJob(EngineSettings):
    """Content of ``evaluate.json``."""

    sets: list[SetLocation]
    rows: int | None = None
    samples: PassAtKSampling | None = None
    blank: bool | Literal["all"] = False
    general: list[str]
    domain: list[str]
    gate: GateJob | None = None
    compare: EarlierEvaluation | None = None
    tree: dict[str, Path] = {}
