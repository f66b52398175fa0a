"""Rate limits: so many units a minute, evenly, first come first served."""

from __future__ import annotations

import asyncio
import time


class Pace:
    """Spreads units over time: each reserves its share of the minute when it asks.

    A bucket that may be emptied at once (aiolimiter's) lets twice the limit through in the first minute, and knows no
    correction once the true token count is known; this spends evenly, takes amounts larger than a second's share, and
    takes back what an estimate got wrong.

    Args:
        per_minute: units a minute; None does not limit.
    """

    def __init__(self, per_minute: float | None) -> None:
        self._seconds = 60 / per_minute if per_minute else 0.0
        self._next = 0.0

    def delay(self) -> float:
        """Seconds until the next unit may go."""
        return max(0.0, self._next - time.monotonic()) if self._seconds else 0.0

    async def wait(self, units: float = 1) -> None:
        """Return when ``units`` may be spent."""
        if self._seconds:
            start = max(self._next, time.monotonic())
            self._next = start + units * self._seconds
            await asyncio.sleep(start - time.monotonic())

    def correct(self, units: float) -> None:
        """Spend ``units`` more than reserved; negative gives back."""
        self._next += units * self._seconds
