"""Counts what went in, what came out, and every reason in between, with examples."""

from __future__ import annotations

from collections import Counter
from typing import Any


class Funnel:
    """Dropped things by ``(gate, reason)``; nothing disappears without one."""

    EXAMPLES = 3

    def __init__(self) -> None:
        self.passed: Counter[str] = Counter()
        self._dropped: Counter[tuple[str, str]] = Counter()
        self._examples: dict[tuple[str, str], list[str]] = {}

    def drop(self, gate: str, reason: str, example: str) -> None:
        """Count one dropped thing; the first few examples of a reason are kept."""
        self._dropped[gate, reason] += 1
        kept = self._examples.setdefault((gate, reason), [])
        if len(kept) < self.EXAMPLES and example not in kept:
            kept.append(example)

    def report(self) -> dict[str, Any]:
        """JSON data: ``passed`` by step, ``dropped`` as a list of gate, reason, count, examples."""
        return {
            "passed": dict(self.passed),
            "dropped": [
                {"gate": gate, "reason": reason, "count": count, "examples": self._examples[gate, reason]}
                for (gate, reason), count in sorted(self._dropped.items())
            ],
        }
