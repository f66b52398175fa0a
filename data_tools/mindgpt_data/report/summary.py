"""What a run made in short, and of several runs together: ``data_report.json``, which ``mindgpt report`` shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from mindgpt_data.report.focus import collect_focus_figures
from mindgpt_data.report.load import ReportInputs
from mindgpt_data.schema.rows import SUB_SCORES
from mindgpt_data.tree.model import Tree

VERSION = 1
"""Of ``data_report.json``'s layout."""
BINS = 10
ANSWERS = 10
"""Most common answers listed."""


def summarise_run(corpus: ReportInputs) -> dict[str, Any] | None:
    """A run in short; None before ``export`` has run.

    Returns:
        ``split`` (empty where the run made several), ``items``, ``images``; ``funnel``: ``passed`` by step and
        ``dropped`` as ``{gate, reason, count, examples}`` (spare questions that were not needed are only counted, in
        ``passed``); ``ids_histogram`` (ten bins of [0, 1]), ``budget_by_ids`` (mean QA per image in each bin, null when
        empty), ``sub_scores`` (means), ``capability`` and ``knowledge`` (items by leaf), ``answers`` (most common) and,
        where the questions followed one, ``focus``.
    """
    items, images, scores, planned = corpus.exported, corpus.images, corpus.density, corpus.budget
    if items is None or images is None or scores is None or planned is None:
        return None
    answers = sum(items.answers.values(), Counter[str]())
    histogram, asked = [0] * BINS, [0] * BINS
    for image, found in scores.items():
        at = min(BINS - 1, int(found["ids"] * BINS))
        histogram[at] += 1
        asked[at] += planned[image]["items"] if image in planned else 0
    followed = collect_focus_figures(corpus)
    return {
        "split": next(iter(items.by["split"])) if len(items.by["split"]) == 1 else "",
        "items": items.rows,
        "images": len(images),
        "funnel": _funnel(corpus, items.rows),
        "ids_histogram": histogram,
        "budget_by_ids": [round(a / n, 3) if n else None for a, n in zip(asked, histogram, strict=True)],
        "sub_scores": {d: round(sum(s[d] for s in scores.values()) / len(scores), 3) for d in SUB_SCORES},
        "capability": dict(items.by["capability"]),
        "knowledge": dict(items.by["knowledge"]),
        "answers": dict(answers.most_common(ANSWERS)),
        **({"focus": followed} if followed else {}),
    }


def build_data_report(sets: Mapping[str, dict[str, Any]], trees: Mapping[str, Tree]) -> dict[str, Any]:
    """Several runs' summaries by name, and how the training sets among them cover the label trees.

    Returns:
        ``version``; ``sets``; ``tree`` by dimension with ``leaves``, ``covered`` and ``entropy``.
    """
    covered = {}
    for dimension, tree in trees.items():
        counts: Counter[str] = Counter()
        for one in sets.values():
            if one["split"] in ("", "train"):
                counts.update(one[dimension])
        covered[dimension] = tree.coverage(counts)
    return {"version": VERSION, "sets": dict(sets), "tree": covered}


def _funnel(corpus: ReportInputs, items: int) -> dict[str, Any]:
    counts = Counter((step, d.gate, d.reason) for step, drops in corpus.drops.items() for d in drops)
    spare = sum(n for (step, gate, _), n in counts.items() if (step, gate) == ("filter", "budget"))
    return {
        "passed": {
            "images": len(corpus.images or ()),
            "planned": sum(row["items"] for row in (corpus.budget or {}).values()),
            "candidates": corpus.candidates.rows if corpus.candidates else 0,
            "spare": spare,
            "items": items,
        },
        "dropped": [
            {
                "gate": gate,
                "reason": reason,
                "count": count,
                "examples": [drop.detail or drop.key for drop in corpus.examples.get((step, gate, reason), ())],
            }
            for (step, gate, reason), count in sorted(counts.items())
            if (step, gate) != ("filter", "budget")
        ],
    }
