"""Relations between subjects from their boxes (ours): which kinds there are, not how many subjects."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence

KINDS = ("beside", "above", "diagonal", "overlap", "inside")
Box = Sequence[float]
"""``x0, y0, x1, y1``; y grows downwards."""


def classify_relation(a: Box, b: Box, *, touch: float = 0.04, within: float = 0.85, slope: float = 0.5) -> str:
    """The relation of two subjects, the same for (a, b) and (b, a).

    Args:
        a: one box.
        b: the other.
        touch: share of the smaller box that must be shared for ``overlap``.
        within: share of the smaller box that must be shared for ``inside``.
        slope: up to this ratio of the distances between centres two subjects are beside or above each other; steeper
            is ``diagonal``.
    """
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    shared = max(0.0, width) * max(0.0, height) / smaller if smaller > 0 else 0.0
    if shared >= within:
        return "inside"
    if shared >= touch:
        return "overlap"
    across, down = abs(a[0] + a[2] - b[0] - b[2]), abs(a[1] + a[3] - b[1] - b[3])
    if min(across, down) > slope * max(across, down):
        return "diagonal"
    return "beside" if across > down else "above"


def count_effective_kinds(boxes: Iterable[Box]) -> float:
    """Effective number of relation kinds, ``exp(entropy)`` over all pairs: 0 below two subjects, else 1 to 5.

    A row of three and a row of ten both have 1: the number of subjects does not enter.
    """
    counts = Counter(classify_relation(a, b) for a, b in itertools.combinations(list(boxes), 2))
    total = sum(counts.values())
    if not total:
        return 0.0
    return math.exp(-sum(n / total * math.log(n / total) for n in counts.values()))
