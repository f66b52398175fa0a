"""Schema of the ``quantise`` stage."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from mindgpt_plugins.core.schema import DatasetRef, ModelRef, StageConfig, Strict
from mindgpt_plugins.stages.quantise.schemes import SCHEMES


class Calibration(Strict):
    """Rows that GPTQ, AutoRound and static scales look at: our own multimodal data, spread over the label tree."""

    sets: list[DatasetRef] = Field(min_length=1, description="Sets that the rows come from.")
    rows: int = Field(256, ge=1, description="Rows in all, as even over the labels as the sets allow.")
    by: Literal["capability", "knowledge"] = Field(
        "capability", description="Label tree over which the rows are spread evenly."
    )
    text_only: bool = Field(False, description="Whether to take rows without pictures instead of rows with them.")


class QualityGate(Strict):
    """What the quantised model must keep; below any of it the stage fails and the unquantised model stays."""

    sets: list[DatasetRef] = Field(min_length=1, description="Held-out sets that are answered, e.g. [world/dev].")
    rows: int | None = Field(1000, ge=1, description="Rows per set at most; null: all of them.")
    recovery: float = Field(0.99, gt=0, description="Task accuracy as a share of the unquantised model's.")
    top1: float | None = Field(None, gt=0, le=1, description="Least share of tokens with the same most likely token.")
    kl: float | None = Field(None, gt=0, description="Largest mean KL divergence per token, nats.")
    kl_rows: int = Field(200, ge=1, description="Rows whose replies are compared token by token.")


class QuantiseConfig(StageConfig):
    """A smaller model for inference, and the proof that it still can what the large one can."""

    kind: Literal["quantise"]
    model: ModelRef = Field(description="Model that is quantised.")
    scheme: str = Field("fp8_dynamic", description=f"One of: {', '.join(SCHEMES)}.")
    kv_cache: Literal["auto", "fp8"] = Field(
        "auto", description="Whether the key-value cache stays as it is (auto) or gets static fp8 scales as well."
    )
    keep: list[str] = Field(
        default_factory=list,
        description="Modules kept as they are, beside the output head and everything visual: names or re:patterns.",
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="Options of the scheme's method, e.g. {iters: 200} of AutoRound."
    )
    calibration: Calibration | None = Field(
        None, description="Data that the method looks at; needed by GPTQ, AutoRound and static scales."
    )
    gate: QualityGate
    batch_size: int = Field(64, ge=1, description="Replies that are generated at once.")
    max_new_tokens: int = Field(64, ge=1, description="Tokens of a reply at most.")

    @model_validator(mode="after")
    def _calibrated(self) -> Self:
        if self.scheme not in SCHEMES:
            raise ValueError(f"scheme: there is no {self.scheme!r}; choose from {', '.join(SCHEMES)}")
        if self.calibration is None and (SCHEMES[self.scheme].calibrated or self.kv_cache == "fp8"):
            what = self.scheme if SCHEMES[self.scheme].calibrated else "kv_cache: fp8"
            raise ValueError(f"{what} needs data to look at; add `calibration: {{sets: [...]}}`")
        return self
