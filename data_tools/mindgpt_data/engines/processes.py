"""Engine ``local``: a process pool with a bounded window that survives an item that kills its worker."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from itertools import islice
from typing import TypeVar

from mindgpt_data.engines.context import Outcome, capture_outcome, get_worker_plugins
from mindgpt_plugins.core.registry import load_plugins

A = TypeVar("A")
B = TypeVar("B")
WINDOW = 4
"""Chunks under way per worker."""
HANDFUL, MOST = 0.05, 64
"""A chunk has as many items as take so many seconds, and at most that many."""
_kept: ContextVar[dict[tuple[str, ...], ProcessPoolExecutor] | None] = ContextVar("kept", default=None)
HOPELESS = 5
"""So many worker deaths before a single item came through: it is not the items."""


def count_workers() -> int:
    """``MINDGPT_DATA_WORKERS``, or one per usable core."""
    return int(os.environ.get("MINDGPT_DATA_WORKERS", 0)) or len(os.sched_getaffinity(0))


@contextmanager
def keep_workers() -> Iterator[None]:
    """Keep worker processes between the calls of :func:`map_items_in_processes` inside: starting them takes seconds."""
    if _kept.get() is not None:  # of an outer call, which ends them
        yield
        return
    kept: dict[tuple[str, ...], ProcessPoolExecutor] = {}
    token = _kept.set(kept)
    try:
        yield
    finally:
        _kept.reset(token)
        for pool in kept.values():
            pool.shutdown(wait=True, cancel_futures=True)


def map_items_in_processes(function: Callable[[A], B], items: Iterable[A]) -> Iterator[Outcome[B]]:
    """See :func:`mindgpt_data.engines.map_items`."""
    count = count_workers()
    if count == 1:
        yield from (capture_outcome(function, item) for item in items)
        return
    source = iter(items)
    waiting: deque[tuple[list[A], Future[tuple[list[Outcome[B]], float]]]] = deque()
    size = 1
    pool = _take(count)
    worked = False
    try:
        while True:
            while len(waiting) < WINDOW * count and (chunk := list(islice(source, size))):
                waiting.append((chunk, _submit(pool, function, chunk)))
            if not waiting:
                return
            chunk, future = waiting.popleft()
            try:
                outcomes, seconds = future.result()
                # Handing over costs as much as a quick item takes: those go in chunks.
                size = max(1, min(MOST, int(HANDFUL * len(chunk) / max(seconds, 1e-9))))
                worked = True
                yield from outcomes
            except BrokenProcessPool:
                # A native library took its process down. Everything under way is done again, one item per process at
                # a time, so that only the item that does it again is lost.
                _give_up(pool)
                again = [item for each in (chunk, *(each for each, _ in waiting)) for item in each]
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
                pool = _take(count)
    finally:
        for _, future in waiting:
            future.cancel()
        if _kept.get() is None:
            pool.shutdown(wait=True, cancel_futures=True)


def _submit(
    pool: ProcessPoolExecutor, function: Callable[[A], B], chunk: list[A]
) -> Future[tuple[list[Outcome[B]], float]]:
    """Hand a chunk to the pool; where a worker has died meanwhile, its turn tells it, like that of every other."""
    try:
        return pool.submit(_timed, function, chunk)
    except BrokenProcessPool as error:
        broken: Future[tuple[list[Outcome[B]], float]] = Future()
        broken.set_exception(error)
        return broken


def _timed(function: Callable[[A], B], chunk: list[A]) -> tuple[list[Outcome[B]], float]:
    began = time.monotonic()
    return [capture_outcome(function, item) for item in chunk], time.monotonic() - began


def _take(count: int) -> ProcessPoolExecutor:
    """The kept workers for the plugins in use, or new ones."""
    kept = _kept.get()
    if kept is None:
        return _pool(count)
    if get_worker_plugins() not in kept:
        kept[get_worker_plugins()] = _pool(count)
    return kept[get_worker_plugins()]


def _give_up(pool: ProcessPoolExecutor) -> None:
    pool.shutdown(wait=False, cancel_futures=True)
    if (kept := _kept.get()) is not None:
        kept.pop(get_worker_plugins(), None)


def _alone(function: Callable[[A], B], item: A) -> Outcome[B]:
    with _pool(1) as pool:
        try:
            return pool.submit(partial(capture_outcome, function), item).result()
        except BrokenProcessPool:
            return Outcome(None, DIED)


def _pool(count: int) -> ProcessPoolExecutor:
    # spawn: forked children of a process with threads (OCR, HTTP) can deadlock.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(count, mp_context=context, initializer=_begin, initargs=(get_worker_plugins(),))


def _begin(plugins: Sequence[str]) -> None:
    # A worker holds both ends of the queue it waits at: when its parent is killed, nothing else tells it.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    load_plugins(plugins)


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


DIED = "its worker process died (a crash in a native library, or out of memory)"
