"""Schema of the ``preference_pairs`` stage."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from mindgpt_plugins.core.schema import Strict
from mindgpt_plugins.stages.self_training.config import SelfTrainingConfig


class Shares(Strict):
    """Wanted share of each kind of pair; normalised to 1."""

    right_wrong: float = Field(0.5, ge=0, description="Pairs of a right and a wrong reply.")
    grounded_blind: float = Field(
        0.25, ge=0, description="Pairs of a reply that looks and its continuation with the picture blanked."
    )
    concise_verbose: float = Field(0.25, ge=0, description="Pairs of a short and a long right reply.")

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if self.right_wrong + self.grounded_blind + self.concise_verbose <= 0:
            raise ValueError("all shares are 0; at least one kind of pair must be wanted")
        return self


class PreferencePairsConfig(SelfTrainingConfig):
    """Preference pairs from a model's own samples."""

    kind: Literal["preference_pairs"]
    samples: int = Field(8, ge=2, description="Answers per prompt with the picture.")
    blind_samples: int = Field(4, ge=1, description="Continuations per prompt with the picture blanked.")
    blind_prefix: float = Field(0.5, ge=0, lt=1, description="Share of the chosen reply's words that is kept.")
    verbose_ratio: float = Field(
        1.3, gt=1, description="Times the tokens of the concise reply that a verbose one has at least."
    )
    verbose_tokens: int = Field(
        3, ge=1, description="Tokens more than the concise reply that a verbose one has at least."
    )
    shares: Shares = Shares()
    pairs: int | None = Field(None, ge=1, description="Pairs that are wanted. Default: one per prompt.")
    set: str = Field("align", pattern=r"^[A-Za-z0-9_-]+$", description="Name of the preference set that is written.")
