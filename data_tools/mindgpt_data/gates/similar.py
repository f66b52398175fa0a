"""Nearest earlier neighbours by brute force, in blocks: exact, and fast enough to about a million short vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK = 1024


def find_repeats(vectors: NDArray[np.float32], threshold: float) -> list[int | None]:
    """For each vector the first kept one before it with cosine above ``threshold``; None keeps it.

    Greedy in order: what repeats something dropped, but nothing kept, is kept.

    Args:
        vectors: ``[n, dim]``, rows of L2 norm 1 (or 0, which is like nothing).
        threshold: cosine.

    Returns:
        ``n`` indices or None.
    """
    found: list[int | None] = []
    kept = np.zeros(len(vectors), dtype=bool)
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK]
        first = np.full(len(block), -1)
        for other in range(0, start, BLOCK):
            near = (block @ vectors[other : other + BLOCK].T > threshold) & kept[other : other + BLOCK]
            hit = near.any(axis=1) & (first < 0)
            first[hit] = other + near[hit].argmax(axis=1)
        inside = block @ block.T > threshold
        for i in range(len(block)):
            if first[i] < 0:
                near_here = np.flatnonzero(inside[i, :i] & kept[start : start + i])
                first[i] = start + near_here[0] if len(near_here) else -1
            kept[start + i] = first[i] < 0
            found.append(None if first[i] < 0 else int(first[i]))
    return found


def find_close_pairs(hashes: NDArray[np.uint64], others: NDArray[np.uint64], distance: int) -> list[tuple[int, int]]:
    """Pairs of 64-bit hashes, one of each kind, that differ in at most ``distance`` bits.

    Args:
        hashes: ``[n]``.
        others: ``[m]``.
        distance: Hamming, in bits.

    Returns:
        ``(i, j)``, ordered by ``i`` then ``j``.
    """
    found: list[tuple[int, int]] = []
    for start in range(0, len(hashes), BLOCK):
        bits = _popcount(hashes[start : start + BLOCK, None] ^ others[None, :])
        found += [(start + int(i), int(j)) for i, j in np.argwhere(bits <= distance)]
    return found


def _popcount(values: NDArray[np.uint64]) -> NDArray[np.uint8]:
    if hasattr(np, "bitwise_count"):  # NumPy 2
        counted: NDArray[np.uint8] = np.bitwise_count(values)
        return counted
    table = np.array([bin(i).count("1") for i in range(256)], dtype=np.uint8)
    summed: NDArray[np.uint8] = table[values[..., None].view(np.uint8)].sum(axis=-1, dtype=np.uint8)
    return summed
