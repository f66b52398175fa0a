"""Calls a registered allocator with what it takes: a seed, and the weights of a focus."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from mindgpt_data.budget.rounding import BudgetError
from mindgpt_data.schema.config import AllocatorChoice
from mindgpt_plugins.core import registry


def run_allocator(
    choice: AllocatorChoice,
    scores: Sequence[float],
    total: int,
    bounds: Mapping[str, Any],
    *,
    seed: int,
    weights: Sequence[float] | None = None,
) -> list[int]:
    """Items per image, ``total`` together.

    Args:
        choice: a registered allocator with its options.
        scores: IDS per image.
        total: the corpus budget.
        bounds: ``n_min``, ``n_max`` and ``gamma``.
        seed: handed to allocators that take a ``seed``.
        weights: of a focus, per image.

    Raises:
        BudgetError: the total cannot be met, or there are weights and the allocator takes none.
        RegistryError: no such allocator, or it does not know a bound or an option.
    """
    name = choice.name
    allocator = registry.get_registered("allocator", name)
    registry.check_options("allocator", name, {**bounds, **choice.options})
    known = inspect.signature(allocator).parameters
    more: dict[str, Any] = {"seed": seed} if "seed" in known else {}
    if weights is not None:
        if "weights" not in known:
            raise BudgetError(
                f"allocator {name!r} takes no `weights`, so it cannot follow a focus: choose density or uniform, or "
                "give yours a keyword `weights` (one factor per image)"
            )
        more["weights"] = weights
    counts: list[int] = allocator(scores, total, **bounds, **choice.options, **more)
    return counts
