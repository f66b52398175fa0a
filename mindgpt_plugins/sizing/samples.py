"""Rows of a set as a trainer will see them: turns of text and the pictures that go with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindgpt_plugins.core.dataset_files import DatasetError, SetInfo, SetRow, read_set_info, read_set_rows
from mindgpt_plugins.core.errors import StageError

if TYPE_CHECKING:
    from PIL.Image import Image

Picture = Path | bytes
"""A file, or a picture that a row holds itself (Parquet and Arrow can)."""


@dataclass(frozen=True)
class Sample:
    """One row as the trainer will see it."""

    place: str
    messages: tuple[tuple[str, str], ...]
    """(role, text) in order; the last one is the supervised reply, if there is one."""
    images: tuple[Picture, ...]
    row: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """All columns, as they stand in the file."""


def read_samples(folder: Path, name: str) -> Iterator[Sample]:
    """Rows of a set listed in ``dataset_info.json``, one at a time (sharegpt or alpaca formatting, any file kind).

    Raises:
        StageError: the set is not listed, its file is missing or not valid, or a column is missing.
    """
    try:
        info = read_set_info(folder, name)
        for row in read_set_rows(folder, name):
            try:
                yield make_sample(folder, info, row)
            except KeyError as error:
                raise StageError(f"set {name!r}: {row.place} of {row.file} has no column {error}") from None
            except (TypeError, AttributeError, ValueError) as error:
                raise StageError(f"set {name!r}: {row.place} of {row.file} is malformed: {error}") from None
    except DatasetError as error:
        raise StageError(str(error)) from None


def make_sample(media: Path, info: SetInfo, row: SetRow) -> Sample:
    """A row as the trainer will see it.

    Args:
        media: folder in which pictures are.
        info: of the set.
        row: as it stands in the file.

    Raises:
        KeyError: a column is missing.
        TypeError: a column holds something else than it should; also ``AttributeError`` and ``ValueError``.
    """
    messages = _alpaca(row.data, info) if info.formatting == "alpaca" else _sharegpt(row.data, info)
    images = tuple(_picture(media, one) for one in info.media(row.data))
    return Sample(row.place, tuple(messages), images, row.data)


def _picture(folder: Path, value: Any) -> Picture:
    """A picture as the host takes it: a path, bytes, or ``datasets``' pair of both."""
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    return value if isinstance(value, bytes) else folder / str(value)


def open_picture(picture: Picture) -> Image:
    """Open a picture without decoding it.

    Raises:
        OSError: it is missing or no picture.
    """
    from PIL import Image

    return Image.open(BytesIO(picture) if isinstance(picture, bytes) else picture)


def _sharegpt(row: Mapping[str, Any], info: SetInfo) -> list[tuple[str, str]]:
    tags = info.entry.get("tags", {})
    role, content = tags.get("role_tag", "from"), tags.get("content_tag", "value")
    names = {
        tags.get("user_tag", "human"): "user",
        tags.get("assistant_tag", "gpt"): "assistant",
        tags.get("system_tag", "system"): "system",
    }
    turns = [(names.get(turn[role], turn[role]), turn[content]) for turn in row[info.column("messages") or "messages"]]
    columns = [column for key in ("chosen", "rejected") if (column := info.column(key)) is not None]
    replies = [row[column][content] for column in columns]
    return [*turns, ("assistant", max(replies, key=len))] if replies else turns


def _alpaca(row: Mapping[str, Any], info: SetInfo) -> list[tuple[str, str]]:
    def value(key: str) -> Any:
        column = info.column(key)
        return None if column is None else row[column] if key in ("prompt", "response") else row.get(column)

    turns = [pair for asked, told in value("history") or [] for pair in (("user", asked), ("assistant", told))]
    turns.append(("user", "\n".join(str(value(key)) for key in ("prompt", "query") if value(key))))
    replies = [str(reply) for key in ("chosen", "rejected") if (reply := value(key)) is not None]
    replies = replies or ([str(value("response"))] if info.column("response") else [])
    return [*turns, ("assistant", max(replies, key=len))] if replies else turns
