"""Engine ``local``: a process pool with a bounded window that survives an item that kills its worker."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import TypeVar

from mindgpt_data.engines.context import Outcome, guarded, plugins
from mindgpt_plugins.core.registry import load_plugins

A = TypeVar("A")
B = TypeVar("B")
WINDOW = 4
"""Items under way per worker."""
HOPELESS = 5
"""So many worker deaths before a single item came through: it is not the items."""


def workers() -> int:
    """``MINDGPT_DATA_WORKERS``, or one per usable core."""
    return int(os.environ.get("MINDGPT_DATA_WORKERS", 0)) or len(os.sched_getaffinity(0))


def map_items(function: Callable[[A], B], items: Iterable[A]) -> Iterator[Outcome[B]]:
    """See :func:`mindgpt_data.engines.map_items`."""
    count = workers()
    if count == 1:
        yield from (guarded(function, item) for item in items)
        return
    source = iter(items)
    waiting: deque[tuple[A, Future[Outcome[B]]]] = deque()
    pool = _pool(count)
    worked = False
    try:
        while True:
            while len(waiting) < WINDOW * count and (item := next(source, _END)) is not _END:
                waiting.append((item, pool.submit(partial(guarded, function), item)))  # type: ignore[arg-type]
            if not waiting:
                return
            item, future = waiting.popleft()
            try:
                outcome = future.result()
                worked = True
                yield outcome
            except BrokenProcessPool:
                # A native library took its process down. Everything under way is done again, one item per process at
                # a time, so that only the item that does it again is lost.
                pool.shutdown(wait=False, cancel_futures=True)
                again = [item, *(each for each, _ in waiting)]
                waiting.clear()
                for number, each in enumerate(again, 1):
                    outcome = _alone(function, each)
                    worked = worked or outcome.error != DIED
                    if not worked and number == HOPELESS:
                        raise RuntimeError(
                            f"{number} worker processes died before a single item came through; a script that starts "
                            "them needs `if __name__ == '__main__':` around its work, and each needs memory"
                        ) from None
                    yield outcome
                pool = _pool(count)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _alone(function: Callable[[A], B], item: A) -> Outcome[B]:
    with _pool(1) as pool:
        try:
            return pool.submit(partial(guarded, function), item).result()
        except BrokenProcessPool:
            return Outcome(None, DIED)


def _pool(count: int) -> ProcessPoolExecutor:
    # spawn: forked children of a process with threads (OCR, HTTP) can deadlock.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(count, mp_context=context, initializer=load_plugins, initargs=(plugins(),))


_END = object()
DIED = "its worker process died (a crash in a native library, or out of memory)"
