"""What a gate sees."""

from __future__ import annotations

from dataclasses import dataclass, field

from mindgpt_data.rows import Row


@dataclass(frozen=True)
class Item:
    """A row up for judgement and what it is judged against.

    Attributes:
        row: the candidate.
        image_hash: content hash of its picture.
        signature: its scene's signature, or empty.
        asked: questions already kept for the same image.
        held_out: content hashes and signatures of every evaluation set (empty while those are built).
    """

    row: Row
    image_hash: str = ""
    signature: str = ""
    asked: frozenset[str] = field(default_factory=frozenset)
    held_out: frozenset[str] = field(default_factory=frozenset)
