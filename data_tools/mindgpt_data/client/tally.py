"""Counts of a run, told to whoever shows progress."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from mindgpt_data.client.request import Done, Failed
from mindgpt_data.io.progress import Progress

INTERVAL = 0.3
WINDOW = 30.0
"""Seconds over which the rate is measured."""


class Tally:
    """Outcomes so far, and the rate at which new ones come (replayed ones do not count as a rate)."""

    def __init__(self, step: str, total: int | None, progress: Progress) -> None:
        self.step, self.total, self.progress = step, total, progress
        self.done = self.failed = self.stored = 0
        self.cost = 0.0
        self._shown = 0.0
        self._marks: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])

    def count(self, outcome: Done[Any] | Failed) -> None:
        """One more."""
        self.done += 1
        self.failed += isinstance(outcome, Failed)
        self.stored += isinstance(outcome, Done) and outcome.stored

    def spend(self, cost: float) -> None:
        """Paid, in this run."""
        self.cost += cost

    def show(self, in_flight: int, last: bool = False) -> None:
        """Tell the listener, at most a few times a second."""
        now = time.monotonic()
        if now - self._shown < INTERVAL and not last:
            return
        self._shown = now
        new = self.done - self.stored
        self._marks.append((now, new))
        while len(self._marks) > 2 and now - self._marks[0][0] > WINDOW:
            self._marks.popleft()
        since, before = self._marks[0]
        rate = (new - before) / (now - since) if now > since else 0.0
        update: dict[str, Any] = {
            "stage": self.step, "step": self.done, "failed": self.failed, "stored": self.stored,
            "rate": round(rate, 2), "cost": round(self.cost, 6), "in_flight": in_flight,
        }  # fmt: skip
        if self.total is not None:
            update["total"] = self.total
            if rate:
                update["eta"] = round((self.total - self.done) / rate, 1)
        self.progress(update)
