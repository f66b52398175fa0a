"""Rows of verl's dataset, as the rewards see them; imports no host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mindgpt_plugins.answers import is_float_of_whole_number
from mindgpt_plugins.core.schedule import compute_progress
from mindgpt_plugins.rewards.rows import make_rollout_from_row
from mindgpt_plugins.rewards.sdk import Rollout


def make_rollout_from_verl(
    fields: Mapping[str, Any], text: str, token_ids: Sequence[int], step: int, total: int, *, prompt: Any = None
) -> Rollout:
    """Build a :class:`Rollout` from a row of verl's dataset and the reply.

    Args:
        fields: the row: ``extra_info``, ``reward_model``, ``data_source``.
        text: the reply without special tokens.
        token_ids: its tokens.
        step: from 1.
        total: steps of the run.
        prompt: the row's chat messages with images, when at hand.
    """
    extra = fields.get("extra_info") or {}
    row = {
        **extra,
        "answer": fields["reward_model"]["ground_truth"],
        "source": fields.get("data_source"),
        "uid": extra.get("uid") or extra.get("index"),
    }
    return make_rollout_from_row(
        row,
        text,
        step=step,
        progress=compute_progress(step, total),
        token_ids=token_ids,
        load_images=None if prompt is None else lambda: _images(prompt),
    )


def describe_odd_answers(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Say how many rows of verl's dataset have answers that are compared otherwise than their owner may think.

    Args:
        rows: their ``extra_info`` and ``reward_model``; those that a judge grades are left out.
    """
    untyped, floats, total = 0, 0, 0
    for row in rows:
        total += 1
        extra, model = row.get("extra_info") or {}, row.get("reward_model") or {}
        if extra.get("type") == "open" or model.get("style") == "model":
            continue
        kind = extra.get("answer_type")
        untyped += not kind
        floats += is_float_of_whole_number(model.get("ground_truth"), kind or "text")
    lines = []
    if untyped:
        lines.append(f"{untyped} of {total} rows have no extra_info.answer_type: their answers are compared as text")
    if floats:
        lines.append(f"{floats} of {total} gold answers are floats of whole numbers (5.0): compared as the number")
    return lines


def _images(messages: Any) -> list[Any]:
    parts = [part for m in messages if isinstance(m["content"], list) for part in m["content"]]
    return [part["image"] for part in parts if part.get("type") == "image"]
