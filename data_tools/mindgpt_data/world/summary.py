"""``data_report.json``: what the data stage made, and why what is missing is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from mindgpt_data.tree.model import Tree

BINS = 10


def build(sets: Mapping[str, Mapping[str, Any]], knowledge: Tree, capability: Tree) -> dict[str, Any]:
    """Summarise the sets.

    Returns:
        ``version``; ``sets`` by name with ``split``, ``items``, ``images``, ``funnel``, ``ids_histogram`` (ten bins of
        [0, 1]), ``budget_by_ids`` (mean QA per image in each bin, null when empty), ``sub_scores`` (means),
        ``capability`` and ``knowledge`` (items by leaf), ``answers`` (most common) and, of a focused source, ``focus``
        (``weak`` leaves; ``leaves``: asked weight and got share); ``tree`` by dimension with ``leaves``, ``covered``
        and ``entropy`` over the training sets.
    """
    trees: dict[str, Any] = {}
    for name, tree in (("knowledge", knowledge), ("capability", capability)):
        counts: Counter[str] = Counter()
        for summary in sets.values():
            if summary["split"] == "train":
                counts.update(summary[name])
        trees[name] = tree.coverage(counts)
    return {"version": 1, "sets": {name: _one(summary) for name, summary in sets.items()}, "tree": trees}


def _one(summary: Mapping[str, Any]) -> dict[str, Any]:
    histogram, budget = [0] * BINS, [0] * BINS
    for ids, count in zip(summary["ids"], summary["budget"], strict=True):
        bin_ = min(BINS - 1, int(ids * BINS))
        histogram[bin_] += 1
        budget[bin_] += count
    keep = ("split", "items", "images", "funnel", "sub_scores", "capability", "knowledge", "answers")
    return {
        **{key: summary[key] for key in keep},
        "ids_histogram": histogram,
        "budget_by_ids": [round(b / n, 3) if n else None for b, n in zip(budget, histogram, strict=True)],
        **({"focus": summary["focus"]} if "focus" in summary else {}),
    }
