"""Rows of a verl set (Parquet): what verl 0.9.1 makes of their prompts, media and answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.dataset_files import SetRow, read_rows
from mindgpt_plugins.inspection.faults import Fault
from mindgpt_plugins.inspection.labels import find_answer_faults
from mindgpt_plugins.inspection.readers import pick_verl_media
from mindgpt_plugins.inspection.turns import TAGS
from mindgpt_plugins.sizing.samples import Sample

COLUMNS = ("prompt", "data_source", "reward_model")
"""What verl and its reward loop index rows by."""

_TOLD = ("uid", "difficulty")
"""What rows keep in ``extra_info`` and other readers' rows have as columns."""


def read_verl_rows(file: Path, columns: Mapping[str, str]) -> Iterator[SetRow]:
    """Rows of a Parquet file, one at a time, under verl's own names.

    Args:
        file: of the set.
        columns: verl's name → the file's, where ``data.prompt_key`` and its like say another.

    Raises:
        FileError: it is none.
    """
    for number, data in enumerate(read_rows(file)):
        data |= {name: data.get(own) for name, own in columns.items()}
        extra = data.get("extra_info")
        told = {key: extra.get(key) for key in _TOLD} if isinstance(extra, Mapping) else {}
        yield SetRow(data | {key: value for key, value in told.items() if value is not None}, number, file)


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
    texts = [turn["content"] for turn in prompt if isinstance(turn["content"], str)]
    parts = [turn["content"] for turn in prompt if isinstance(turn["content"], list)]
    if len(texts) + len(parts) < len(prompt):
        yield Fault("content", row.place, f"a turn is neither text nor parts: {prompt!r}"[:120])
        return
    if parts:  # verl hands them to the processor as they are
        yield Fault("not_counted", row.place, "a turn is a list of parts")
    media = {column: row.data.get(column) or () for column in TAGS}
    for column, tag in TAGS.items():
        tags = sum(text.count(tag) for text in texts)
        if not any(media.values()):
            if tags:
                yield Fault("tag_as_text", row.place, tag)
        elif len(media[column]) != tags:
            yield Fault("placeholders", row.place, f"{len(media[column])} {column}, {tags} {tag}")
    for one in media["images"]:
        if isinstance(path := _picture(one), Path) and not path.is_absolute():
            yield Fault("relative_image", row.place, str(path))
    model, extra = row.data["reward_model"], row.data.get("extra_info") or {}
    if extra.get("type") == "open" or not isinstance(model, Mapping) or model.get("style") == "model":
        return  # graded by a judge
    yield from find_answer_faults(
        row.place,
        model.get("ground_truth"),
        extra.get("answer_type"),
        question=extra.get("question") or (texts[-1] if texts else ""),
        boxes=extra.get("boxes"),
    )


def make_verl_sample(row: SetRow) -> Sample:
    """A sound row whose turns are texts, as verl will see it."""
    turns = tuple((turn["role"], turn["content"]) for turn in row.data["prompt"])
    pictures = tuple(one for one in map(_picture, row.data.get("images") or ()) if one is not None)
    return Sample(row.place, turns, pictures, row.data)


def _picture(value: Any) -> Path | bytes | None:
    """A picture as verl takes it; None for one that is not on this machine's disk."""
    found = pick_verl_media(value)
    return Path(found) if isinstance(found, str) else found


def _is_turn(turn: Any) -> bool:
    return isinstance(turn, Mapping) and "role" in turn and "content" in turn
