"""The weak leaves as rows: what ``--dry-run`` prints and the report shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mindgpt_data.focus.branch_file import Branch
from mindgpt_data.focus.weights import Focus


def weak(focus: Focus) -> list[dict[str, Any]]:
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
        for b in deepest(focus.branches)
        if focus.of(b.axis)[b.label] > 1
    ]
    return sorted(rows, key=lambda row: (-row["weight"], row["axis"], row["label"]))


def deepest(branches: tuple[Branch, ...]) -> list[Branch]:
    """Branches without another one below them."""
    above = {(b.axis, ".".join(b.path[:-1])) for b in branches}
    return [b for b in branches if (b.axis, b.label) not in above]


def asked_and_got(focus: Focus, got: Mapping[str, Mapping[str, int]]) -> list[dict[str, Any]]:
    """What every leaf that was asked about should get and did get.

    Args:
        focus: the weights.
        got: axis → leaf → items.

    Returns:
        Per leaf with items: ``axis, leaf, weight, asked`` (its weight over the sum of the weights of these leaves),
        ``items`` and ``got`` (its share of the items); by axis, heaviest first.
    """
    rows = []
    for axis, counts in sorted(got.items()):
        weights = focus.of(axis)
        leaves = sorted((leaf for leaf, n in counts.items() if n), key=lambda leaf: (-weights[leaf], leaf))
        mass, items = sum(weights[leaf] for leaf in leaves), sum(counts.values())
        rows += [
            {
                "axis": axis,
                "leaf": leaf,
                "weight": round(weights[leaf], 3),
                "asked": round(weights[leaf] / mass, 4),
                "items": counts[leaf],
                "got": round(counts[leaf] / items, 4),
            }
            for leaf in leaves
        ]
    return rows
