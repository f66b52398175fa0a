"""What an item gate sees."""

from __future__ import annotations

from dataclasses import dataclass

from mindgpt_data.schema.rows import Row


@dataclass(frozen=True)
class Item:
    """A row up for judgement and what it is judged against.

    Attributes:
        row: the candidate.
        image_hash: content hash of its (first) picture.
        extent: largest x and y a box in it may have (see :class:`mindgpt_data.schema.boxes.Frame`), when it has boxes.
    """

    row: Row
    image_hash: str = ""
    extent: tuple[int, int] | None = None
