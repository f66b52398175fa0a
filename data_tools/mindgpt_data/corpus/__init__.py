"""Reads a corpus: a folder of pictures, a manifest, or COCO annotations. Files are named here and opened later."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mindgpt_data.io.work import Drop
from mindgpt_data.schema.record import ImageRecord

STEP = "images"


class CorpusError(ValueError):
    """A corpus cannot be read at all; the message names the path and the fix."""


@dataclass
class Corpus:
    """What a reader found.

    Attributes:
        records: unmeasured records (width and height 0, content empty), in the corpus's order.
        drops: what could not be used, with a reason each.
    """

    records: list[ImageRecord] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)

    def drop(self, gate: str, reason: str, key: str, detail: str = "") -> None:
        """Leave one thing out."""
        self.drops.append(Drop(STEP, gate, reason, printable(key), detail))


def read(path: Path, source: str = "domain") -> Corpus:
    """Read a corpus.

    Args:
        path: a folder (searched recursively), a manifest ``.jsonl``, or COCO annotations ``.json``.
        source: source of every record whose manifest names none.

    Raises:
        CorpusError: missing, unreadable, of no known kind, or an image id occurs twice.
    """
    from mindgpt_data.corpus import coco, folder, manifest

    if path.is_dir():
        corpus = folder.read(path, source)
    elif path.suffix.lower() in (".jsonl", ".ndjson") and path.is_file():
        corpus = manifest.read(path, source)
    elif path.suffix.lower() == ".json" and path.is_file():
        corpus = coco.read(path, source)
    elif path.exists():
        raise CorpusError(f"{path} is no corpus: give a folder of pictures, a manifest (.jsonl) or COCO (.json)")
    else:
        raise CorpusError(f"{path} does not exist: give a folder of pictures, a manifest (.jsonl) or COCO (.json)")
    _check_unique(corpus.records, path)
    return corpus


def image_id(paths: Iterable[Path], folder: Path) -> str:
    """Id of a record: its path from the corpus folder with ``/`` (several joined by ``+``); absolute if outside."""
    return "+".join((p.relative_to(folder) if p.is_relative_to(folder) else p).as_posix() for p in paths)


def printable(name: str) -> str:
    """``name`` with bytes that are no UTF-8 shown as escapes, so that it can be written down."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _check_unique(records: list[ImageRecord], path: Path) -> None:
    seen: dict[str, int] = {}
    for number, record in enumerate(records, 1):
        if record.image in seen:
            raise CorpusError(
                f"{path}: image id {record.image!r} occurs twice (records {seen[record.image]} and {number}); ids are "
                f'unique in a corpus: merge the two, or give one an "id" of its own in a manifest'
            )
        seen[record.image] = number
