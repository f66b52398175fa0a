"""Step ``budget``: density → how many QA each image gets, and of which capability families."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mindgpt_data.budget import allocate as by_name
from mindgpt_data.budget.per_image import per_images
from mindgpt_data.budget.split import split
from mindgpt_data.focus import weights
from mindgpt_data.focus.weights import Focus
from mindgpt_data.io.progress import Progress, silent
from mindgpt_data.io.work import BUDGET_COLUMNS, Work
from mindgpt_data.schema.config import BudgetSettings, DataSettings
from mindgpt_data.schema.rows import SUB_SCORES
from mindgpt_data.teachers.plan import chosen
from mindgpt_data.teachers.slots import by_family
from mindgpt_data.tree.files import load
from mindgpt_plugins.core import files


def run(work: Work, settings: DataSettings, *, seed: int = 0, progress: Progress = silent) -> dict[str, Any]:
    """Read ``density.parquet``, write ``budget.parquet``; images keep their order.

    With ``budget.items`` the allocator meets it exactly; without, each image gets the per-image formula. Within an
    image the items go to the four families in proportion to the sub-scores; what rounding cuts off is owed to the next.
    With a focus, pictures matched to weak leaves get more of the same total, and families of weak capabilities more of
    a picture's share.

    Raises:
        BudgetError: ``items`` is outside what the images and bounds allow, or the allocator cannot follow a focus.
        FileError: density has not been measured; with a focus: topics have not been matched.
        FocusError: the focus cannot be used, or nothing is weak.
    """
    started = time.monotonic()
    density = work.read_density()
    focus = weights.of(settings)
    families = _families(settings, focus) if focus else dict.fromkeys(SUB_SCORES, 1.0)
    heavy = _heavy(work, density, focus, families) if focus else None
    counts = allocate([scores["ids"] for scores in density.values()], settings.budget, seed, heavy)
    carry: dict[str, float] = {}
    rows = []
    for (image, scores), count in zip(density.items(), counts, strict=True):
        rows.append({"image": image, "items": count, **split(count, weights.tilted(scores, families), carry)})
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
    tree = load("capability", None if where == "builtin" else Path(where))
    return focus.families(by_family(chosen(tree, settings.generate.capabilities), {}))


def _heavy(
    work: Work, density: Mapping[str, Mapping[str, float]], focus: Focus, families: Mapping[str, float]
) -> list[float]:
    matches = work.read_matches()
    return [
        focus.picture([topic["leaf"] for topic in matches.get(image, [])], scores, families)
        for image, scores in density.items()
    ]


def allocate(
    scores: list[float], settings: BudgetSettings, seed: int, heavy: Sequence[float] | None = None
) -> list[int]:
    """Items per image.

    Args:
        scores: IDS per image.
        settings: allocator and bounds. Without ``items`` only the allocator ``density`` has a meaning per image.
        seed: handed to allocators that take a ``seed``.
        heavy: weight per image, of a focus.

    Raises:
        BudgetError: see :func:`run`.
        ValueError: another allocator without ``items``.
    """
    bounds: dict[str, Any] = {"n_min": settings.n_min, "n_max": settings.n_max, "gamma": settings.gamma}
    if settings.items is None:
        if settings.allocator.name != "density":
            raise ValueError(
                f"allocator {settings.allocator.name!r} spreads a corpus budget: set budget.items, or use density"
            )
        return per_images(scores, **bounds, weights=heavy)
    return by_name.allocate(settings.allocator, scores, settings.items, bounds, seed=seed, weights=heavy)
