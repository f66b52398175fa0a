"""Section ``perception:`` of an RL stage."""

from __future__ import annotations

from pydantic import Field, model_validator

from mindgpt_plugins.core.schema import Strict


class PapoConfig(Strict):
    """Reward for tokens that the picture made likelier (after PAPO, arXiv 2507.06448; form: ours)."""

    weight: float = Field(0.01, gt=0, description="Advantage γ per nat of log-ratio.")
    clip: float = Field(5.0, gt=0, description="Bound of a token's log-ratio in nats; keeps the KL from being hacked.")


class PerceptionConfig(Strict):
    """One more log-probability pass per step, with most of each picture blacked out (VPPO, arXiv 2510.09285)."""

    weight: bool = Field(True, description="Whether a reply's advantage is multiplied by its α.")
    masked_share: float = Field(0.6, gt=0, le=1, description="Share of each picture's visual tokens blacked out.")
    base: float = Field(0.9, gt=0, le=1, description="α of the reply that depends least on the picture.")
    max: float = Field(2.0, ge=1, description="Largest α of a reply.")
    token_share: float | None = Field(
        None, gt=0, le=1, description="Gradient only on this share of a reply's tokens, those that depend most; 0.4."
    )
    papo: PapoConfig | None = Field(None, description="Reward for tokens that the picture made likelier; null: none.")

    @model_validator(mode="after")
    def _something_to_do(self) -> PerceptionConfig:
        if not self.weight and self.token_share is None and self.papo is None:
            raise ValueError(
                "perception: weight is off and neither token_share nor papo is set, so the pass would be for nothing; "
                "remove the section, or set one of them"
            )
        return self
