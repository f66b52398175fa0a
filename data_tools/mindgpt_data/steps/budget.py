"""Step ``budget``: density → how many QA each image gets, and of which capability families."""

from __future__ import annotations

import inspect
import time
from collections import Counter
from typing import Any

from mindgpt_data import files
from mindgpt_data.budget.per_image import per_image
from mindgpt_data.budget.split import split
from mindgpt_data.config import BudgetSettings, DataSettings
from mindgpt_data.progress import Progress, silent
from mindgpt_data.rows import SUB_SCORES
from mindgpt_data.work import BUDGET_COLUMNS, Work
from mindgpt_plugins import registry


def run(work: Work, settings: DataSettings, *, seed: int = 0, progress: Progress = silent) -> dict[str, Any]:
    """Read ``density.parquet``, write ``budget.parquet``; images keep their order.

    With ``budget.items`` the allocator meets it exactly; without, each image gets the per-image formula. Within an
    image the items go to the four families in proportion to the sub-scores; what rounding cuts off is owed to the next.

    Raises:
        BudgetError: ``items`` is outside what the images and bounds allow.
        FileError: density has not been measured.
    """
    started = time.monotonic()
    density = work.read_density()
    counts = allocate([scores["ids"] for scores in density.values()], settings.budget, seed)
    carry: dict[str, float] = {}
    rows = []
    for (image, scores), count in zip(density.items(), counts, strict=True):
        rows.append({"image": image, "items": count, **split(count, scores, carry)})
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


def allocate(scores: list[float], settings: BudgetSettings, seed: int) -> list[int]:
    """Items per image.

    Args:
        scores: IDS per image.
        settings: allocator and bounds. Without ``items`` only the allocator ``density`` has a meaning per image.
        seed: handed to allocators that take a ``seed``.

    Raises:
        BudgetError: see :func:`run`.
        ValueError: another allocator without ``items``.
    """
    bounds: dict[str, Any] = {"n_min": settings.n_min, "n_max": settings.n_max, "gamma": settings.gamma}
    if settings.items is None:
        if settings.allocator != "density":
            raise ValueError(
                f"allocator {settings.allocator!r} spreads a corpus budget: set budget.items, or use allocator density"
            )
        return [per_image(score, **bounds) for score in scores]
    allocator = registry.get("allocator", settings.allocator)
    registry.check_options("allocator", settings.allocator, bounds)
    if "seed" in inspect.signature(allocator).parameters:
        bounds["seed"] = seed
    counts: list[int] = allocator(scores, settings.items, **bounds)
    return counts
