"""The one place that calls an advantage by name: training and ``mindgpt explain`` get the same numbers or refusal."""

from __future__ import annotations

import torch
from torch import Tensor

from mindgpt_plugins.advantage.config import AdvantageConfig
from mindgpt_plugins.advantage.estimators import select_accepted_settings
from mindgpt_plugins.advantage.groups import Groups
from mindgpt_plugins.core.registry import get_registered


class AdvantageError(ValueError):
    """An advantage returned something that nothing can be trained on."""


def compute_advantage(config: AdvantageConfig, groups: Groups, lam: float) -> Tensor:
    """Compute the advantages of one batch with the recipe's estimator.

    Args:
        config: estimator and options; ``k`` and ``lam`` go to estimators that take them.
        groups: scores of the batch.
        lam: λ at this point of the run.

    Returns:
        (groups, n) float64.

    Raises:
        AdvantageError: the result has another shape than the groups, or values that are not finite.
        ValueError: the estimator refuses an option's value.
    """
    options = select_accepted_settings(config.name, {"k": config.k, "lam": lam}) | config.options
    result: Tensor = get_registered("advantage", config.name)(groups, **options)
    if result.shape != groups.mask.shape or not bool(torch.isfinite(result).all()):
        raise AdvantageError(
            f"advantage {config.name!r} returned {tuple(result.shape)} with {int((~result.isfinite()).sum())} "
            f"values that are not finite; it must return one finite number for each of {tuple(groups.mask.shape)}"
        )
    return result
