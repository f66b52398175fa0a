"""The keys ``loss:`` and ``kl:`` of supervised training, in a recipe and in LLaMA-Factory's ``mindgpt:`` section."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from mindgpt_plugins.core.choice import Choice
from mindgpt_plugins.core.schema import ModelRef, Strict


class LossChoice(Choice):
    """What supervised training minimises."""

    of: ClassVar[str] = "loss"
    key: ClassVar[str] = "loss"


class KLConfig(Strict):
    """KL anchor β·KL(reference ‖ policy): keeps the policy near a frozen reference on the target tokens of sources."""

    sources: tuple[str, ...] = Field(min_length=1, description="Sources whose replies are anchored, e.g. [general].")
    beta: float = Field(0.05, gt=0, description="Weight β of the KL divergence beside the loss, per nat.")
    reference: ModelRef | None = Field(
        None,
        description="Model that the policy is kept near: a stage, a folder or a hub id. Default: the model that "
        "training starts from (with LoRA: its base).",
    )
