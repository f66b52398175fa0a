"""How far a number may be from the gold one and still be right."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

NOISE = 1e-6
"""Relative tolerance that forgives rounding and nothing else."""


@dataclass(frozen=True)
class Tolerance:
    """Limits of numbers, quantities and the numbers inside JSON; the larger of the two counts."""

    rel: float = NOISE
    """Share of the gold value."""
    abs: float = 0.0
    """In the gold answer's unit."""

    def __post_init__(self) -> None:
        if not (0 <= self.rel < math.inf and 0 <= self.abs < math.inf):
            raise ValueError(f"{self}: rel and abs are numbers from 0 on")

    def close(self, got: int | float | Fraction, want: int | float | Fraction, noise: float = 0.0) -> bool:
        """Are two numbers the same?

        Whole numbers are compared exactly unless the tolerance was widened: 10,000,001 is not 10,000,000, though the
        two are closer than one part in a million.

        Args:
            got: the reply's.
            want: the gold one.
            noise: absolute error of computing the two (conversions of units), forgiven in any case.
        """
        if got == want:
            return True
        whole = isinstance(got, int) and isinstance(want, int)
        if whole and self.rel <= NOISE and self.abs == 0:
            return False
        try:
            a, b = float(got), float(want)
        except OverflowError:  # an integer of hundreds of digits
            return False
        if not (math.isfinite(a) and math.isfinite(b)):
            return False
        return abs(a - b) <= max(self.abs * (1 + 1e-12), self.rel * abs(b) * (1 + 1e-12), noise)


EXACT = Tolerance()
