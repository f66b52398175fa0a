"""What the process of a ``quantise`` stage is told: the stage's settings with every reference resolved."""

from __future__ import annotations

from typing import Any, Literal

from mindgpt_plugins.core.schema import Strict
from mindgpt_plugins.generation.config import ModelSettings, SetLocation


class CalibrationJob(Strict):
    """See :class:`~mindgpt_plugins.stages.quantise.config.Calibration`."""

    sets: list[SetLocation]
    rows: int
    by: Literal["capability", "knowledge"]
    text_only: bool


class QualityGateJob(Strict):
    """See :class:`~mindgpt_plugins.stages.quantise.config.QualityGate`."""

    sets: list[SetLocation]
    rows: int | None
    recovery: float
    top1: float | None
    kl: float | None
    kl_rows: int


class QuantiseJob(ModelSettings):
    """Content of ``quantise.json``."""

    scheme: str
    kv_cache: Literal["auto", "fp8"]
    keep: list[str]
    options: dict[str, Any]
    calibration: CalibrationJob | None
    gate: QualityGateJob
