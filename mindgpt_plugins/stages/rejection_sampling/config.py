"""Schema of the ``rejection_sampling`` stage."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from mindgpt_plugins.core.schema import DatasetRef, ModelRef, Strict
from mindgpt_plugins.stages.self_training.config import SelfTrainingConfig


class ReplayData(Strict):
    """Rows of another set mixed in as they are."""

    data: DatasetRef = Field(description="Set whose rows are mixed in.")
    share: float = Field(gt=0, lt=1, description="Share of the finished set.")


class RejectionSamplingConfig(SelfTrainingConfig):
    """A model's own verified-correct answers, as a training set that restores what it could do."""

    kind: Literal["rejection_sampling"]
    after: ModelRef | None = Field(
        None, description="Tuned model; prompts that it has lost weigh more. null: all prompts weigh the same."
    )
    samples: int = Field(8, ge=1, description="Answers per prompt.")
    keep_per_prompt: int = Field(2, ge=1, description="Right answers kept per prompt at most, distinct ones first.")
    rows: int | None = Field(None, ge=1, description="Own answers in the set; default: one per answered prompt.")
    floor: float = Field(0.1, gt=0, description="Weight of a prompt that was not lost: floor + max(0, p0 - p1).")
    shrink: float = Field(2.0, ge=0, description="Pseudo-answers that pull p towards its capability's mean.")
    replay: list[ReplayData] = Field([], description="Rows of other sets that are mixed in as they are.")
    set: str = Field("restore", pattern=r"^[A-Za-z0-9_-]+$", description="Name of the set that is written.")

    @model_validator(mode="after")
    def _shares(self) -> Self:
        total = sum(replay.share for replay in self.replay)
        if total >= 1:
            raise ValueError(
                f"replay shares add up to {total:g}; they must leave room for the model's own answers (< 1)"
            )
        return self
