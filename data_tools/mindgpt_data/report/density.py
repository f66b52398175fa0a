"""How dense the pictures are, and what the budget made of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mindgpt_data.budget.density import density as by_density
from mindgpt_data.budget.random import random as by_chance
from mindgpt_data.budget.rounding import BudgetError
from mindgpt_data.budget.uniform import uniform
from mindgpt_data.report.load import ReportInputs
from mindgpt_data.schema.rows import SUB_SCORES

BINS = 25
SOURCES = 7
"""Sources with a colour of their own; the rest is ``others``."""
PER_DECILE = 3


def collect_density_figures(corpus: ReportInputs) -> dict[str, Any] | None:
    """Histograms per score and source, and the pictures around each decile of IDS; None before the step has run.

    Returns:
        ``histograms``: score → ``{low, high, counts: {source: [per bin]}}``; ``quantiles``: score → 11 deciles;
        ``deciles``: ``{quantile, ids, images: [{image, ids, sub-scores}]}``; ``correlation``: score → rank correlation
        with each other score.
    """
    scores = corpus.density
    if not scores:
        return None
    source = _sources(corpus)
    histograms, quantiles = {}, {}
    for name in ("ids", *SUB_SCORES):
        high = 1.0 if name == "ids" else 5.0
        counts: dict[str, list[int]] = {}
        for image, found in scores.items():
            bins = counts.setdefault(source.get(image, "unknown"), [0] * BINS)
            bins[min(BINS - 1, int(found[name] / high * BINS))] += 1
        histograms[name] = {"low": 0.0, "high": high, "counts": dict(sorted(counts.items()))}
        ordered = sorted(found[name] for found in scores.values())
        quantiles[name] = [ordered[_place(q, len(ordered))] for q in range(11)]
    ranked = sorted(scores, key=lambda image: (scores[image]["ids"], image))
    return {
        "images": len(scores),
        "histograms": histograms,
        "quantiles": quantiles,
        "deciles": [_decile(q, ranked, scores) for q in range(11)],
    }


def _place(decile: int, count: int) -> int:
    return round(decile * (count - 1) / 10)


def _decile(q: int, ranked: Sequence[str], scores: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    at = _place(q, len(ranked))
    first = max(0, min(at - PER_DECILE // 2, len(ranked) - PER_DECILE))
    chosen = ranked[first : first + PER_DECILE]
    return {
        "quantile": q / 10,
        "ids": scores[ranked[at]]["ids"],
        "images": [{"image": image, **scores[image]} for image in chosen],
    }


def _sources(corpus: ReportInputs) -> dict[str, str]:
    counts = Counter(record.source for record in (corpus.images or {}).values())
    named = {name for name, _ in counts.most_common(SOURCES)}
    return {r.image: r.source if r.source in named else "others" for r in (corpus.images or {}).values()}


def collect_budget_figures(corpus: ReportInputs) -> dict[str, Any] | None:
    """Planned, generated and kept items over deciles of IDS, beside the three allocators at the same total.

    Returns:
        ``planned``, ``images``; ``groups``: ten equal groups of images by IDS with ``{ids, images, planned, generated,
        kept}`` and items per allocator; ``families``: planned items per density dimension; ``bounds``: n_min, n_max and
        gamma; ``note`` when the total lies outside what the allocators can meet. None before the step has run.
    """
    if not corpus.budget or not corpus.density:
        return None
    images = [image for image in corpus.budget if image in corpus.density]
    actual = [corpus.budget[image]["items"] for image in images]
    ids = [corpus.density[image]["ids"] for image in images]
    bounds, note = _bounds(corpus, actual), ""
    spent: dict[str, list[int]] = {"planned": actual}
    for name, rows in (("generated", corpus.candidates), ("kept", corpus.kept)):
        if rows is not None:
            spent[name] = [rows.by["image"][image] for image in images]
    try:
        spent["density"] = by_density(ids, sum(actual), **bounds)
        spent["uniform"] = uniform(ids, sum(actual), **bounds)
        spent["random"] = by_chance(ids, sum(actual), **bounds, seed=corpus.seed)
    except BudgetError as error:
        note = str(error)
    order = sorted(range(len(images)), key=lambda i: (ids[i], images[i]))
    parts = [order[g * len(order) // 10 : (g + 1) * len(order) // 10] for g in range(10)]
    groups = [
        {
            "ids": sum(ids[i] for i in part) / len(part),
            "images": len(part),
            **{name: sum(counts[i] for i in part) for name, counts in spent.items()},
        }
        for part in parts
        if part
    ]
    return {
        "planned": sum(actual),
        "images": len(images),
        "groups": groups,
        "families": {name: sum(corpus.budget[image][name] for image in images) for name in SUB_SCORES},
        "items_per_image": dict(sorted(Counter(actual).items())),
        "bounds": bounds,
        "note": note,
    }


def _bounds(corpus: ReportInputs, actual: Sequence[int]) -> dict[str, Any]:
    """What the budget step was told, widened to what it did (a plan of the user's own may differ)."""
    said = {**corpus.settings.budget.model_dump(), **_section(corpus.summaries.get("budget") or {})}
    return {
        "n_min": min(said["n_min"], min(actual, default=0)),
        "n_max": max(said["n_max"], max(actual, default=0)),
        "gamma": said["gamma"],
    }


def _section(summary: Mapping[str, Any]) -> dict[str, Any]:
    found = summary.get("settings", {})
    found = found.get("budget", found)
    return {key: found[key] for key in ("n_min", "n_max", "gamma") if found.get(key) is not None}
