"""Sets that a stage of LLaMA-Factory reads, and what their rows must have."""

from __future__ import annotations

from mindgpt_plugins.curriculum.feeding import orders_by_difficulty
from mindgpt_plugins.stages.base import SetRead
from mindgpt_plugins.stages.sft.config import TrainingConfig


def list_training_reads(config: TrainingConfig) -> list[SetRead]:
    """Prompt and reply of every row must fit ``cutoff_len``, or the host cuts them."""
    media = config.llamafactory.get("media_dir")
    return [
        SetRead(
            one,
            model=config.model,
            limit=config.cutoff_len,
            key="cutoff_len",
            drop_invalid=config.drop_invalid,
            difficulty="difficulty" if orders_by_difficulty(config.curriculum) else None,
            media_dir=None if media is None else str(media),
        )
        for one in config.sets()
    ]
