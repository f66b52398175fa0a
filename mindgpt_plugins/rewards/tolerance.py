"""How far an answer may be from the gold one and still be right."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tolerance:
    """Limits of every kind of answer."""

    rel: float = 1e-6
    """Numbers: of the gold value, or of 1 where that is smaller."""
    abs: float = 0.0
    """Numbers: in the gold answer's unit; the larger of the two limits counts."""
    iou: float = 0.5
    """Boxes: least intersection over union."""
    similarity: float = 1.0
    """Texts: least 1 - edit distance / longer length, after normalisation (ANLS, arXiv 1907.00490, asks for 0.5)."""

    def __post_init__(self) -> None:
        if self.rel < 0 or self.abs < 0 or not 0 < self.iou <= 1 or not 0 < self.similarity <= 1:
            raise ValueError(f"{self}: rel and abs must not be negative; iou and similarity lie in (0, 1]")

    def close(self, got: float, want: float) -> bool:
        """Are two numbers the same?"""
        return abs(got - want) <= max(self.abs, self.rel * max(1.0, abs(want)))


EXACT = Tolerance()
