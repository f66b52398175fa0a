"""Rows of a verl set (Parquet): what verl 0.9.1 makes of their prompts, media and answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.dataset_files import SetRow, read_rows
from mindgpt_plugins.inspection.faults import Fault
from mindgpt_plugins.inspection.labels import find_answer_faults
from mindgpt_plugins.inspection.turns import TAGS
from mindgpt_plugins.sizing.samples import Sample

COLUMNS = ("prompt", "data_source", "reward_model")
"""What verl and its reward loop index rows by."""


def read_verl_rows(file: Path) -> Iterator[SetRow]:
    """Rows of a Parquet file, one at a time.

    Raises:
        FileError: it is none.
    """
    for number, data in enumerate(read_rows(file)):
        extra = data.get("extra_info")
        uid = extra.get("uid") if isinstance(extra, Mapping) else None
        yield SetRow(data if uid is None else {**data, "uid": uid}, number, file)


def find_prompt_faults(row: SetRow) -> Iterator[Fault]:
    """Faults of a row's prompt, its media and its answer."""
    missing = [column for column in COLUMNS if row.data.get(column) is None]
    if missing:
        yield Fault("no_column", row.place, f"no {missing[0]!r}")
        return
    prompt = row.data["prompt"]
    if not isinstance(prompt, list) or not prompt or not all(_is_turn(turn) for turn in prompt):
        yield Fault("malformed", row.place, "prompt must be a list of turns, each with role and content")
        return
    for number, turn in enumerate(prompt):
        if not isinstance(turn["content"], str):
            yield Fault("content", row.place, f"turn {number} is {turn['content']!r}"[:80])
            return
    for column, tag in TAGS.items():
        media, tags = len(row.data.get(column) or ()), sum(turn["content"].count(tag) for turn in prompt)
        if media != tags:
            yield Fault("placeholders", row.place, f"{media} {column}, {tags} {tag}")
    model, extra = row.data["reward_model"], row.data.get("extra_info") or {}
    if extra.get("type") == "open" or not isinstance(model, Mapping) or model.get("style") == "model":
        return  # graded by a judge
    yield from find_answer_faults(
        row.place,
        model.get("ground_truth"),
        extra.get("answer_type"),
        question=extra.get("question") or prompt[-1]["content"],
        boxes=extra.get("boxes"),
    )


def make_verl_sample(row: SetRow) -> Sample:
    """A sound row as verl will see it.

    Raises:
        KeyError: a picture has neither bytes nor a path.
    """
    turns = tuple((turn["role"], turn["content"]) for turn in row.data["prompt"])
    return Sample(row.place, turns, tuple(_picture(one) for one in row.data.get("images") or ()), row.data)


def _picture(value: Any) -> Path | bytes:
    if isinstance(value, Mapping):
        value = value.get("bytes") or value.get("path") or value["image"]
    return value if isinstance(value, bytes) else Path(str(value).removeprefix("file://"))


def _is_turn(turn: Any) -> bool:
    return isinstance(turn, Mapping) and "role" in turn and "content" in turn
