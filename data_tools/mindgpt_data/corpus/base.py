"""What every reader of a corpus gives back, and how records are named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mindgpt_data.io.work import Drop
from mindgpt_data.schema.record import ImageRecord

STEP = "images"


class CorpusError(ValueError):
    """A corpus cannot be read at all; the message names the path and the fix."""


@dataclass(frozen=True)
class BoxOrigin:
    """Where the boxes of a record are written, and in which convention."""

    place: str
    """Names the line or the image in its file."""
    convention: str | None
    """As declared, one of :data:`~mindgpt_plugins.answers.BOX_CONVENTIONS`; None when nothing declares it."""


@dataclass
class Corpus:
    """What a reader found.

    Attributes:
        records: unmeasured records (width and height 0, content empty), in the corpus's order. Their boxes are the four
            numbers as they are written: only the measured picture says what they are in pixels.
        drops: what could not be used, with a reason each.
        boxes: origin of the boxes of each record that has some, by its id.
    """

    records: list[ImageRecord] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)
    boxes: dict[str, BoxOrigin] = field(default_factory=dict)

    def drop(self, gate: str, reason: str, key: str, detail: str = "") -> None:
        """Leave one thing out."""
        self.drops.append(Drop(STEP, gate, reason, escape_file_name(key), detail))


def make_image_id(paths: Iterable[Path], folder: Path) -> str:
    """Id of a record: its path from the corpus folder with ``/`` (several joined by ``+``); absolute if outside."""
    return "+".join((p.relative_to(folder) if p.is_relative_to(folder) else p).as_posix() for p in paths)


def escape_file_name(name: str) -> str:
    """``name`` with bytes that are no UTF-8 shown as escapes, so that it can be written down."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
