"""Maps a function over items in worker processes: results in order, few in flight, a crash costs one item."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
AHEAD = 4
"""Items in flight per worker: enough to keep it busy, few enough to bound memory."""


def ordered(
    function: Callable[[T], R], items: Iterable[T], *, crashed: Callable[[T], R], workers: int | None = None
) -> Iterator[R]:
    """Yield ``function(item)`` in the order of ``items``.

    Args:
        function: must not raise for a bad item: it returns what should be recorded instead.
        items: pulled as workers get free.
        crashed: result for an item that killed its worker twice (a native library crashed on it).
        workers: processes; default one per CPU this process may use; 1 runs in this process.
    """
    workers = workers or cpus()
    if workers == 1:
        yield from map(function, items)
        return
    waiting: deque[tuple[T, Future[R]]] = deque()
    pool = _pool(workers)
    try:
        for item in items:
            waiting.append((item, _submitted(pool, function, item)))
            if len(waiting) < AHEAD * workers:
                continue
            try:
                yield waiting[0][1].result()
                waiting.popleft()
            except BrokenProcessPool:
                yield from _one_by_one(function, waiting, crashed)
                pool.shutdown()
                pool = _pool(workers)
        while waiting:
            try:
                yield waiting[0][1].result()
                waiting.popleft()
            except BrokenProcessPool:
                yield from _one_by_one(function, waiting, crashed)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def cpus() -> int:
    """CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _submitted(pool: ProcessPoolExecutor, function: Callable[[T], R], item: T) -> Future[R]:
    try:
        return pool.submit(function, item)
    except BrokenProcessPool as error:
        broken: Future[R] = Future()
        broken.set_exception(error)
        return broken


def _one_by_one(
    function: Callable[[T], R], waiting: deque[tuple[T, Future[R]]], crashed: Callable[[T], R]
) -> Iterator[R]:
    """Nobody knows which item broke the pool: give each a process of its own."""
    while waiting:
        item, _ = waiting.popleft()
        with _pool(1) as alone:
            try:
                result = alone.submit(function, item).result()
            except BrokenProcessPool:
                result = crashed(item)
        yield result


def _pool(workers: int) -> ProcessPoolExecutor:
    # Forked workers know every estimator that was registered in this process.
    method = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context(method))
