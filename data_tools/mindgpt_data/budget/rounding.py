"""Largest remainder under caps: real shares → whole numbers with an exact sum."""

from __future__ import annotations

from collections.abc import Sequence


class BudgetError(ValueError):
    """A budget that cannot be met; the message says which values can."""


def check_corpus_budget(images: int, total: int, n_min: int, n_max: int) -> None:
    """Refuse a corpus budget that no allocation can meet.

    Raises:
        BudgetError: ``total`` is outside [images·n_min, images·n_max] or the bounds are not usable.
    """
    if not 0 <= n_min <= n_max:
        raise BudgetError(f"need 0 <= n_min <= n_max, got n_min={n_min}, n_max={n_max}")
    low, high = images * n_min, images * n_max
    if not low <= total <= high:
        raise BudgetError(
            f"a budget of {total} QA cannot be spread over {images} images with {n_min} to {n_max} each: "
            f"choose items between {low} and {high}, or change images, n_min or n_max"
        )


def apportion_total(weights: Sequence[float], total: int, n_min: int, n_max: int) -> list[int]:
    """``n_min`` each and the rest in proportion to ``weights``, at most ``n_max``, summing to exactly ``total``.

    Excess over a cap is redistributed among the uncapped in proportion; fractions go to the largest remainder, ties to
    the earlier image. All-zero weights mean equal shares.

    Raises:
        BudgetError: see :func:`check_corpus_budget`; or a weight is negative.
    """
    check_corpus_budget(len(weights), total, n_min, n_max)
    if any(w < 0 for w in weights):
        raise BudgetError("allocation weights must not be negative")
    share = [0.0] * len(weights)
    open_ = list(range(len(weights)))
    room = n_max - n_min
    rest = float(total - n_min * len(weights))
    while open_ and rest > 1e-12:
        mass = sum(weights[i] for i in open_)
        portion = {i: rest * (weights[i] / mass if mass > 0 else 1 / len(open_)) for i in open_}
        full = [i for i in open_ if portion[i] >= room]
        for i in full or open_:
            share[i] = min(float(room), portion[i])
        if not full:
            break
        rest -= room * len(full)
        open_ = [i for i in open_ if portion[i] < room]
    counts = [min(room, int(s + 1e-9)) for s in share]
    missing = total - n_min * len(weights) - sum(counts)
    # By remainder; a full image has none. More than one round only when rounding errors pile up.
    order = sorted(range(len(weights)), key=lambda i: (-(share[i] - counts[i]), i))
    while missing > 0:
        for i in order:
            if missing and counts[i] < room:
                counts[i] += 1
                missing -= 1
    return [n_min + c for c in counts]


def weigh_shares(shares: list[float], weights: Sequence[float] | None) -> list[float]:
    """Shares times weights; as they are without any."""
    return shares if weights is None else [share * weight for share, weight in zip(shares, weights, strict=True)]
