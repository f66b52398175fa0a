"""One object per process and arguments, however many threads ask first."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """Decorator: the function runs once per process and arguments; its result is kept.

    ``functools.cache`` may run it twice when two threads ask at once, and a forked child would get its parent's object,
    whose threads and pipes are not its own.
    """

    def __init__(self, make: Callable[..., T]):
        self._make, self._lock = make, threading.Lock()
        self._made: dict[tuple[Hashable, ...], T] = {}

    def __call__(self, *arguments: Hashable) -> T:
        """The object of this process."""
        key = (os.getpid(), *arguments)
        if key not in self._made:
            with self._lock:
                if key not in self._made:
                    self._made[key] = self._make(*arguments)
        return self._made[key]

    def clear(self) -> None:
        """Forget all objects."""
        self._made.clear()
