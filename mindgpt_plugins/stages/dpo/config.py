"""Schema of the ``dpo`` stage: preference alignment with MPO's three losses."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field

from mindgpt_plugins.core.schema import ModelRef
from mindgpt_plugins.stages.sft.config import TrainingConfig


class DPOConfig(TrainingConfig):
    """Direct preference optimisation; the defaults are MPO's weights (2411.10442): 0.8 DPO + 0.2 BCO + 1.0 SFT."""

    kind: Literal["dpo"]
    lr: float = Field(1e-6, gt=0, le=1, description="Peak learning rate.")
    pref_loss: Literal["sigmoid", "hinge", "ipo", "kto_pair", "orpo", "simpo"] = Field(
        "sigmoid", description="Loss over a chosen and a rejected reply: LLaMA-Factory's pref_loss."
    )
    pref_beta: float = Field(0.1, gt=0, description="Strength of the pull towards the reference.")
    pref_bco_weight: float = Field(0.25, ge=0, description="BCO against 1 of DPO; the host divides by their sum.")
    pref_ftx: float = Field(1.0, ge=0, description="Weight of the SFT loss on the chosen reply.")
    ld_alpha: float | None = Field(None, ge=0, le=1, description="Down-weights the longer reply's extra tokens.")
    reference: ModelRef | None = Field(
        None, description="Frozen model that the policy is compared with. Default: the model this stage starts from."
    )

    def further(self, start: str, steps: int, seed: int) -> Self:
        """As any training, with the reference it always had."""
        more = super().further(start, steps, seed)
        return more.model_copy(update={"reference": self.reference or self.model})
