"""Rows of verl's dataset, as the rewards see them; imports no host."""

from __future__ import annotations

from typing import Any

from mindgpt_plugins.answers import as_gold
from mindgpt_plugins.rewards.schedule import progress_of
from mindgpt_plugins.rewards.sdk import Rollout


def as_rollout(
    text: str,
    token_ids: list[int],
    extra: dict[str, Any],
    truth: dict[str, Any],
    source: Any,
    step: int,
    total: int,
    *,
    prompt: Any = None,
) -> Rollout:
    """Build a :class:`Rollout` from a row of verl's dataset and the reply.

    Args:
        text: the reply without special tokens.
        token_ids: its tokens.
        extra: the row's ``extra_info``.
        truth: the row's ``reward_model``.
        source: the row's ``data_source``.
        step: from 1.
        total: steps of the run.
        prompt: the row's chat messages with images, when at hand.
    """
    return Rollout(
        text=text,
        target=as_gold(truth["ground_truth"], str(extra.get("answer_type") or "text")),
        prompt=str(extra.get("question") or ""),
        answer_type=str(extra.get("answer_type") or "text"),
        type=str(extra.get("type") or "verifiable"),
        boxes=extra.get("boxes"),
        source=str(source),
        labels={k: str(extra[k]) for k in ("knowledge", "capability") if extra.get(k)},
        difficulty=float(extra.get("difficulty") or 0.0),
        length=len(token_ids),
        token_ids=token_ids,
        uid=str(extra.get("uid") or extra.get("index", "")),
        step=step,
        progress=progress_of(step, total),
        load_images=None if prompt is None else lambda: _images(prompt),
    )


def _images(messages: Any) -> list[Any]:
    parts = [part for m in messages if isinstance(m["content"], list) for part in m["content"]]
    return [part["image"] for part in parts if part.get("type") == "image"]
