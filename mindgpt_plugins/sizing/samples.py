"""Rows of a set as a trainer will see them: turns of text and the pictures that go with them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.errors import StageError


@dataclass(frozen=True)
class Sample:
    """One row as the trainer will see it."""

    place: str
    messages: tuple[tuple[str, str], ...]
    """(role, text) in order; the last one is the supervised reply, if there is one."""
    images: tuple[Path, ...]


def read_samples(folder: Path, name: str) -> Iterator[Sample]:
    """Rows of a set listed in ``dataset_info.json`` (sharegpt or alpaca formatting, JSON or JSONL).

    Raises:
        StageError: the set is not listed, its file is missing or not valid, or a column is missing.
    """
    info = json.loads((folder / "dataset_info.json").read_text(encoding="utf-8"))
    if name not in info:
        raise StageError(f"{folder / 'dataset_info.json'} lists no set {name!r}; it has: {', '.join(info)}")
    entry = info[name]
    file = folder / str(entry.get("file_name", f"{name}.json"))
    try:
        text = file.read_text(encoding="utf-8")
        rows = [json.loads(line) for line in text.splitlines() if line] if file.suffix == ".jsonl" else json.loads(text)
    except FileNotFoundError:
        raise StageError(f"set {name!r}: file {file} does not exist") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StageError(f"set {name!r}: {file} is not valid JSON: {error}") from error
    columns, tags = entry.get("columns", {}), entry.get("tags", {})
    sharegpt = entry.get("formatting", "alpaca") == "sharegpt"
    for number, row in enumerate(rows):
        place = f"row {number}" + (f" (uid {row['uid']})" if "uid" in row else "")
        try:
            messages = _sharegpt(row, columns, tags) if sharegpt else _alpaca(row, columns)
        except KeyError as error:
            raise StageError(f"set {name!r}: {place} of {file} has no column {error}") from None
        images = row.get(columns.get("images", "images")) or []
        yield Sample(place, tuple(messages), tuple(folder / str(image) for image in images))


def _sharegpt(row: dict[str, Any], columns: dict[str, str], tags: dict[str, str]) -> list[tuple[str, str]]:
    role, content = tags.get("role_tag", "from"), tags.get("content_tag", "value")
    names = {
        tags.get("user_tag", "human"): "user",
        tags.get("assistant_tag", "gpt"): "assistant",
        tags.get("system_tag", "system"): "system",
    }
    turns = [
        (names.get(turn[role], turn[role]), turn[content]) for turn in row[columns.get("messages", "conversations")]
    ]
    replies = [row[columns[key]][content] for key in ("chosen", "rejected") if key in columns]
    return [*turns, ("assistant", max(replies, key=len))] if replies else turns


def _alpaca(row: dict[str, Any], columns: dict[str, str]) -> list[tuple[str, str]]:
    prompt = str(row[columns.get("prompt", "instruction")])
    query = row.get(columns.get("query", "input")) or ""
    return [
        ("user", f"{prompt}\n{query}" if query else prompt),
        ("assistant", str(row[columns.get("response", "output")])),
    ]
