"""CPU time of a process and everything it started, killed and orphaned processes included."""

from __future__ import annotations

import time

import psutil

_EVERY = 2.0


class Meter:
    """Remembers the CPU time of every process it has seen; what a process spends after the last look is missed."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, float], float] = {}
        self._next = 0.0

    @property
    def seconds(self) -> float:
        """User and system time of all processes seen so far."""
        return sum(self._seen.values())

    def look(self, pid: int, *, now: bool = False) -> None:
        """Look at a process and its descendants, at most every two seconds unless ``now``."""
        if not now and time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _EVERY
        try:
            root = psutil.Process(pid)
            family = [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for process in family:
            try:
                times = process.cpu_times()
                self._seen[(process.pid, process.create_time())] = times.user + times.system
            except psutil.NoSuchProcess:
                continue
