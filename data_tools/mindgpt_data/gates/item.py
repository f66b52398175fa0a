"""What an item gate sees."""

from __future__ import annotations

from dataclasses import dataclass, field

from mindgpt_data.schema.rows import Row


@dataclass(frozen=True)
class Item:
    """A row up for judgement and what it is judged against.

    Attributes:
        row: the candidate.
        image_hash: content hash of its (first) picture.
        signature: its scene's signature (rendered worlds), or empty.
        asked: questions already kept for the same image (rendered worlds).
        held_out: content hashes and signatures of every evaluation set (rendered worlds; empty while those are built).
        extent: largest x and y a box in it may have (see :class:`mindgpt_data.schema.boxes.Frame`), when it has boxes.
    """

    row: Row
    image_hash: str = ""
    signature: str = ""
    asked: frozenset[str] = field(default_factory=frozenset)
    held_out: frozenset[str] = field(default_factory=frozenset)
    extent: tuple[int, int] | None = None
