"""The weak leaves as rows: what ``--dry-run`` prints and the report shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mindgpt_data.focus.branch_file import Branch
from mindgpt_data.focus.weights import Focus


def list_weak_branches(focus: Focus) -> list[dict[str, Any]]:
    """The deepest branches that weigh more than 1, weakest first.

    Returns:
        Per branch: ``axis, label, n, accuracy, low`` as measured, ``bound`` (shrunk up the tree) and ``weight``.
    """
    rows = [
        {
            "axis": b.axis,
            "label": b.label,
            "n": b.n,
            "accuracy": b.accuracy,
            "low": b.low,
            "bound": round(focus.of(b.axis).bound(b.label), 4),
            "weight": round(focus.of(b.axis)[b.label], 3),
        }
        for b in select_deepest_branches(focus.branches)
        if focus.of(b.axis)[b.label] > 1
    ]
    return sorted(rows, key=lambda row: (-row["weight"], row["axis"], row["label"]))


def select_deepest_branches(branches: tuple[Branch, ...]) -> list[Branch]:
    """Branches without another one below them."""
    above = {(b.axis, ".".join(b.path[:-1])) for b in branches}
    return [b for b in branches if (b.axis, b.label) not in above]


def compare_leaf_shares(
    weights: Mapping[str, Mapping[str, float]], got: Mapping[str, Mapping[str, int]]
) -> list[dict[str, Any]]:
    """What every leaf that can be asked about should get, and what it got.

    Args:
        weights: axis → leaf → weight.
        got: axis → leaf → items, for every leaf that could have got some.

    Returns:
        Per leaf: ``axis, leaf, weight, asked`` (its weight over the sum of the weights of its axis), ``items`` and
        ``got`` (its share of the items); by axis, heaviest first.
    """
    rows = []
    for axis, counts in sorted(got.items()):
        own = weights[axis]
        mass, items = sum(own[leaf] for leaf in counts), sum(counts.values())
        rows += [
            {
                "axis": axis,
                "leaf": leaf,
                "weight": round(own[leaf], 3),
                "asked": round(own[leaf] / mass, 4),
                "items": counts[leaf],
                "got": round(counts[leaf] / items, 4) if items else 0.0,
            }
            for leaf in sorted(counts, key=lambda leaf: (-own[leaf], leaf))
        ]
    return rows
