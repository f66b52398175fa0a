"""Compares two estimators on the same pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mindgpt_data.schema.rows import SUB_SCORES

COLUMNS = (*SUB_SCORES, "ids")
Table = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Comparison:
    """How far two estimators agree.

    Attributes:
        images: pictures both have scored.
        spearman: rank correlation per column; None when one of the two is constant.
        means: per column, the mean of either.
        apart: the pictures whose IDS differ most: image, first's IDS, second's IDS, largest difference first.
    """

    images: int
    spearman: dict[str, float | None]
    means: dict[str, tuple[float, float]]
    apart: list[tuple[str, float, float]]


def compare_scores(first: Table, second: Table, examples: int = 10) -> Comparison:
    """Compare two tables of scores (image → four sub-scores and ``ids``).

    Raises:
        ValueError: fewer than three pictures are in both.
    """
    from scipy.stats import spearmanr

    shared = sorted(set(first) & set(second))
    if len(shared) < 3:
        raise ValueError(f"only {len(shared)} pictures are scored by both estimators; a comparison needs 3")
    spearman: dict[str, float | None] = {}
    means = {}
    for column in COLUMNS:
        a, b = ([table[image][column] for image in shared] for table in (first, second))
        varied = len(set(a)) > 1 and len(set(b)) > 1
        spearman[column] = float(spearmanr(a, b).statistic) if varied else None
        means[column] = (sum(a) / len(a), sum(b) / len(b))
    apart = sorted(shared, key=lambda image: -abs(first[image]["ids"] - second[image]["ids"]))
    pairs = [(image, first[image]["ids"], second[image]["ids"]) for image in apart[:examples]]
    return Comparison(len(shared), spearman, means, pairs)
