"""The Information Density Score: four sub-scores in [0, 5], one number in [0, 1] (four: the paper; map: ours)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from mindgpt_data.schema.rows import SUB_SCORES

if TYPE_CHECKING:
    from PIL.Image import Image

    from mindgpt_data.schema.record import ImageRecord


class Picture:
    """What an estimator sees: the pixels, and what the corpus knows of them.

    Args:
        image: RGB, or a function that opens it; it is called when an estimator first looks at the pixels.
        record: the corpus' record, where there is one.
    """

    def __init__(self, image: Image | Callable[[], Image], record: ImageRecord | None = None) -> None:
        self._image, self.record = image, record

    @cached_property
    def image(self) -> Image:
        """The pixels (RGB)."""
        return self._image() if callable(self._image) else self._image


def compute_information_density(sub_scores: Mapping[str, float], weights: Mapping[str, float] | None = None) -> float:
    """IDS = Σ w_d·s_d / 5, in [0, 1].

    Args:
        sub_scores: the four dimensions, each in [0, 5].
        weights: non-negative, scaled to sum 1; default ¼ each.

    Raises:
        ValueError: a dimension is missing, out of range, or the weights are not usable.
    """
    weights = weights or dict.fromkeys(SUB_SCORES, 1.0)
    if set(weights) != set(SUB_SCORES) or min(weights.values()) < 0 or sum(weights.values()) <= 0:
        raise ValueError(
            f"density weights need {', '.join(SUB_SCORES)}, none negative, not all zero; got {dict(weights)}"
        )
    for name in SUB_SCORES:
        if not 0.0 <= sub_scores[name] <= 5.0:
            raise ValueError(f"density sub-score {name} = {sub_scores[name]} is outside [0, 5]")
    return sum(weights[name] * sub_scores[name] for name in SUB_SCORES) / (5.0 * sum(weights.values()))
