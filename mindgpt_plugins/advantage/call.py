"""The one place that calls an advantage by name: training and ``mindgpt explain`` get the same numbers or refusal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mindgpt_plugins.advantage.estimators import accepted
from mindgpt_plugins.advantage.groups import Groups
from mindgpt_plugins.registry import get


class AdvantageError(ValueError):
    """An advantage returned something that nothing can be trained on."""


def compute_advantage(name: str, groups: Groups, *, k: int, lam: float, options: Mapping[str, Any]) -> Tensor:
    """Compute the advantages of one batch with a registered estimator.

    Args:
        name: of the estimator.
        groups: scores of the batch.
        k: the recipe's subset size; passed on if the estimator takes it, as ``lam`` is.
        lam: λ at this point of the run.
        options: the recipe's further options; they win over ``k`` and ``lam``.

    Returns:
        (groups, n) float64.

    Raises:
        AdvantageError: the result has another shape than the groups, or values that are not finite.
        ValueError: the estimator refuses an option's value.
    """
    result: Tensor = get("advantage", name)(groups, **(accepted(name, {"k": k, "lam": lam}) | dict(options)))
    if result.shape != groups.mask.shape or not bool(torch.isfinite(result).all()):
        raise AdvantageError(
            f"advantage {name!r} returned {tuple(result.shape)} with {int((~result.isfinite()).sum())} "
            f"values that are not finite; it must return one finite number for each of {tuple(groups.mask.shape)}"
        )
    return result
