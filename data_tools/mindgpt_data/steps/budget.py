"""Step ``budget``: density → how many QA each image gets, and of which capability families."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mindgpt_data.budget import allocate as by_name
from mindgpt_data.budget.per_image import compute_image_budgets
from mindgpt_data.budget.rounding import BudgetError
from mindgpt_data.budget.split import split_image_budget
from mindgpt_data.focus import weights
from mindgpt_data.focus.weights import Focus
from mindgpt_data.io.progress import Progress, ignore_update
from mindgpt_data.io.work import BUDGET_COLUMNS, Work
from mindgpt_data.schema.config import BudgetBounds, BudgetSettings, DataSettings
from mindgpt_data.schema.rows import SUB_SCORES
from mindgpt_data.teachers.plan import select_capabilities
from mindgpt_data.teachers.slots import group_by_family
from mindgpt_data.tree.files import load_tree
from mindgpt_plugins.core import files


def run(work: Work, settings: DataSettings, *, seed: int = 0, progress: Progress = ignore_update) -> dict[str, Any]:
    """Read ``density.parquet``, write ``budget.parquet``; images keep their order.

    The allocator meets ``budget.items``, or the total of every source in ``budget.sources``, exactly; an image without
    a total gets the per-image formula. Within an image the items go to the four families in proportion to the
    sub-scores; what rounding cuts off is owed to the next.
    With a focus, pictures matched to weak leaves get more of the same total, and families of weak capabilities more of
    a picture's share.

    Raises:
        BudgetError: a total is outside what the images and bounds allow, no image has a source that is named, or the
            allocator cannot follow a focus.
        FileError: density has not been measured; with a focus: topics have not been matched.
        FocusError: the focus cannot be used, or nothing is weak.
    """
    started = time.monotonic()
    density = work.read_density()
    focus = weights.load_run_focus(settings)
    families = _families(settings, focus) if focus else dict.fromkeys(SUB_SCORES, 1.0)
    heavy = _heavy(work, density, focus, families) if focus else None
    ids = {image: scores["ids"] for image, scores in density.items()}
    counts = _by_source(ids, _sources(work, settings.budget), settings.budget, seed, heavy)
    carry: dict[str, float] = {}
    rows = []
    for (image, scores), count in zip(density.items(), counts, strict=True):
        rows.append(
            {
                "image": image,
                "items": count,
                **split_image_budget(count, weights.tilt_sub_scores(scores, families), carry),
            }
        )
    files.write_table(work.budget, rows, BUDGET_COLUMNS)
    work.write_drops("budget", ())
    progress({"stage": "budget", "step": len(rows), "total": len(rows)})
    summary: dict[str, Any] = {
        "images": len(rows),
        "items": sum(counts),
        "families": {d: sum(row[d] for row in rows) for d in SUB_SCORES},
        "per_image": {str(n): m for n, m in sorted(Counter(counts).items())},
        "seconds": round(time.monotonic() - started, 3),
        "settings": settings.budget.model_dump(),
        "seed": seed,
    }
    work.write_summary("budget", summary)
    return summary


def _families(settings: DataSettings, focus: Focus) -> dict[str, float]:
    where = settings.tree.capability
    tree = load_tree("capability", None if where == "builtin" else Path(where))
    return focus.families(group_by_family(select_capabilities(tree, settings.generate.capabilities), {}))


def _heavy(
    work: Work, density: Mapping[str, Mapping[str, float]], focus: Focus, families: Mapping[str, float]
) -> list[float]:
    matches = work.read_matches()
    return [
        focus.picture([topic["leaf"] for topic in matches.get(image, [])], scores, families)
        for image, scores in density.items()
    ]


def _sources(work: Work, settings: BudgetSettings) -> dict[str, str]:
    """Image id → the source whose budget it shares; empty where there is one budget for all."""
    if not settings.sources:
        return {}
    found = {record.image: record.source for record in work.read_images()}
    if unknown := sorted(set(settings.sources) - set(found.values())):
        there = ", ".join(sorted(set(found.values())))
        raise BudgetError(f"budget.sources: no image has the source {unknown[0]!r}; there are: {there}")
    return found


def _by_source(
    scores: Mapping[str, float],
    source: Mapping[str, str],
    settings: BudgetSettings,
    seed: int,
    heavy: Sequence[float] | None,
) -> list[int]:
    """Items per image, in the order of ``scores``; every source has its own total."""
    images, counts = list(scores), dict[str, int]()
    for name in dict.fromkeys(source.get(image, "") for image in images):
        own = [i for i, image in enumerate(images) if source.get(image, "") == name]
        given = allocate_items(
            [scores[images[i]] for i in own],
            settings,
            settings.sources.get(name) if settings.sources else settings.items,
            seed,
            None if heavy is None else [heavy[i] for i in own],
        )
        counts.update(zip((images[i] for i in own), given, strict=True))
    return [counts[image] for image in images]


def allocate_items(
    scores: list[float],
    settings: BudgetBounds,
    items: int | None,
    seed: int,
    heavy: Sequence[float] | None = None,
) -> list[int]:
    """Items per image.

    Args:
        scores: IDS per image.
        settings: allocator and bounds.
        items: their sum. Without one only the allocator ``density`` has a meaning per image.
        seed: handed to allocators that take a ``seed``.
        heavy: weight per image, of a focus.

    Raises:
        BudgetError: see :func:`run`.
        ValueError: another allocator without ``items``.
    """
    bounds: dict[str, Any] = {"n_min": settings.n_min, "n_max": settings.n_max, "gamma": settings.gamma}
    if items is None:
        if settings.allocator.name != "density":
            raise ValueError(
                f"allocator {settings.allocator.name!r} spreads a corpus budget: set budget.items, or use density"
            )
        return compute_image_budgets(scores, **bounds, weights=heavy)
    return by_name.run_allocator(settings.allocator, scores, items, bounds, seed=seed, weights=heavy)
