"""What a batch gate sees and says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from mindgpt_data.client.request import Done, Failed, Task
from mindgpt_data.gates.item import Item
from mindgpt_data.schema.config import DataSettings
from mindgpt_data.schema.record import ImageRecord
from mindgpt_data.schema.rows import Row

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class GateVerdict:
    """What a batch gate says about one row.

    Attributes:
        uid: the row.
        reason: why it goes, short and the same for the same cause; None keeps it.
        detail: what exactly.
        difficulty: its new difficulty in [0, 1], when the gate measured one.
    """

    uid: str
    reason: str | None = None
    detail: str = ""
    difficulty: float | None = None


class Ask(Protocol):
    """Puts tasks to the endpoints of a role; outcomes come as they are ready."""

    def __call__(self, tasks: Iterable[Task[T]], *, role: str, total: int | None = None) -> Iterator[Done[T] | Failed]:
        """See :func:`mindgpt_data.client.run.ask_all`; ``total`` is for the progress line."""
        ...


@dataclass
class Batch:
    """Every row that is still in, and what a gate needs to judge it.

    Attributes:
        items: the rows in input order.
        records: image id → its record.
        settings: the whole pipeline's.
        folder: the work folder: what costs CPU may be kept there between runs.
        ask: puts tasks to a model server; answers are stored, and a second run asks only what failed.
        notes: things the reader of the summary should know, e.g. what could not be measured.
        facts: numbers and lists for the report, by name.
        solved: share of right answers per uid, as measured by an earlier gate of this run.
        pairs: uid → a right and a wrong reply to it, where a gate has seen both.
    """

    items: list[Item]
    records: Mapping[str, ImageRecord]
    settings: DataSettings
    folder: Path
    ask: Ask
    notes: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    solved: dict[str, float] = field(default_factory=dict)
    pairs: dict[str, tuple[str, str]] = field(default_factory=dict)

    def paths(self, row: Row) -> list[Path]:
        """The files of a row's pictures, in the order they are shown."""
        return [path for image in row.image for path in self.paths_of(image)]

    def paths_of(self, image: str) -> list[Path]:
        """See :func:`find_picture_paths`."""
        return find_picture_paths(image, self.records, self.folder)


def find_picture_paths(image: str, records: Mapping[str, ImageRecord], folder: Path) -> list[Path]:
    """The files behind an entry of ``row.image``: an image id of the corpus, or a file that a step made.

    Args:
        image: an id, or a path, absolute or relative to ``folder``.
        records: image id → its record.
        folder: the work folder.

    Raises:
        ValueError: it is neither.
    """
    if image in records:
        return [Path(path) for path in records[image].paths]
    path = folder / image
    if not path.is_file():
        raise ValueError(f"{image!r} is neither an image id of images.jsonl nor a file in {folder}")
    return [path]


def mark_batch_gate(gate: F) -> F:
    """Mark a gate that takes a :class:`Batch` instead of one :class:`~mindgpt_data.gates.item.Item`."""
    gate.sees_batch = True  # type: ignore[attr-defined]
    return gate


def sees_batch(gate: Callable[..., Any]) -> bool:
    """Was the gate marked with :func:`mark_batch_gate`?"""
    return bool(getattr(gate, "sees_batch", False))
