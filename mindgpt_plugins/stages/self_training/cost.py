"""How long the rows are that a model will write for itself."""

from __future__ import annotations

from dataclasses import replace

from mindgpt_plugins.sizing.lengths import Lengths, Rows
from mindgpt_plugins.stages.self_training.config import SelfTrainingConfig


def foresee_replies(config: SelfTrainingConfig, name: str, lengths: Lengths, wanted: int | None) -> Rows:
    """Rows of a set that is made from replies to the stage's prompts: ``wanted``, by default one per prompt."""
    prompts = lengths.rows(config.prompts)
    reply = lengths.share * config.max_new_tokens
    items = tuple(replace(one, reply=reply) for one in prompts.items)
    note = f"{name} is not made yet: a row per prompt, replies of {reply:g} tokens"
    return Rows(wanted or prompts.count, items, notes=(*prompts.notes, note))
