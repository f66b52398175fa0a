"""What a focus asked for, and what the labels got."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from mindgpt_data.focus.table import compare_leaf_shares
from mindgpt_data.report.load import ReportInputs

LISTED = 60
"""Leaves per axis, heaviest first."""


def collect_focus_figures(corpus: ReportInputs) -> dict[str, Any] | None:
    """Asked and got shares of the leaves that weigh more than 1; None when the questions followed no focus.

    Leaves that got items or weigh more than 1 share what was asked; ``got`` is of the kept items, or of the generated
    ones before the gates have run.

    Returns:
        ``file``, ``target``; ``of``: kept or generated; ``weak``: axis → how many weigh more than 1; ``leaves``: the
        first 60 of each axis (:func:`mindgpt_data.focus.table.compare_leaf_shares`).
    """
    told = (corpus.summaries.get("generate") or {}).get("focus")
    tally = corpus.kept or corpus.candidates
    if not told or tally is None:
        return None
    weights = {axis: defaultdict(lambda: 1.0, own) for axis, own in told["weights"].items()}
    got = {axis: {**dict.fromkeys(own, 0), **tally.by[axis]} for axis, own in told["weights"].items()}
    rows = [row for row in compare_leaf_shares(weights, got) if row["weight"] > 1]
    return {
        "file": told["file"],
        "target": told["target"],
        "of": "kept" if corpus.kept else "generated",
        "weak": {axis: len(own) for axis, own in told["weights"].items()},
        "leaves": [row for axis in weights for row in [r for r in rows if r["axis"] == axis][:LISTED]],
    }
