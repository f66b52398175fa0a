"""Which rows share an optimizer update, and what is left of each when groups are dropped; imports no host."""

from __future__ import annotations

from collections.abc import Sequence
from math import lcm


def split_update_rows(rows: int, workers: int, updates: int) -> list[list[int]]:
    """Places of each update's rows: verl cuts the batch into one run of rows per worker and each run into updates."""
    own = rows // workers
    size = own // updates
    return [
        [worker * own + update * size + i for worker in range(workers) for i in range(size)]
        for update in range(updates)
    ]


def mark_rows_without_loss(
    dropped: Sequence[bool], padding: Sequence[bool], updates: Sequence[Sequence[int]]
) -> list[bool]:
    """Which rows to take out of the loss altogether.

    An update whose rows would all be gone keeps the dropped ones: their advantage is 0 anyway, and a mean over no token
    is not a number.
    """
    out = list(dropped)
    for rows in updates:
        if all(dropped[i] or padding[i] for i in rows):
            for i in rows:
                out[i] = False
    return out


def compute_row_multiple(workers: int, updates: int, micro_batches: Sequence[int]) -> int:
    """Rows a step must be a multiple of, so that workers, updates and micro-batches all come out even."""
    return workers * updates * lcm(*micro_batches) if micro_batches else workers * updates
