"""Spreads one image's QA over the capability families of its four density dimensions."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

from mindgpt_data.schema.rows import SUB_SCORES


def split_image_budget(
    count: int, sub_scores: Mapping[str, float], carry: MutableMapping[str, float]
) -> dict[str, int]:
    """Largest remainder on s_d / Σ s_d; ``carry`` hands what rounding cut off to the next image.

    Without the carry, images with one QA each would all ask about their strongest dimension.

    Args:
        count: QA of this image.
        sub_scores: the four dimensions, each in [0, 5]; all zero means equal shares.
        carry: shares owed from earlier images, updated in place; start with an empty dict.
    """
    mass = sum(sub_scores[d] for d in SUB_SCORES)
    want = {
        d: carry.get(d, 0.0) + count * (sub_scores[d] / mass if mass > 0 else 1 / len(SUB_SCORES)) for d in SUB_SCORES
    }
    # A dimension the image does not have cannot be paid back here.
    able = [d for d in SUB_SCORES if sub_scores[d] > 0] or list(SUB_SCORES)
    counts = dict.fromkeys(SUB_SCORES, 0)
    for _ in range(count):
        best = max(able, key=lambda d: (want[d] - counts[d], -SUB_SCORES.index(d)))
        counts[best] += 1
    for d in SUB_SCORES:
        carry[d] = want[d] - counts[d]
    return counts
