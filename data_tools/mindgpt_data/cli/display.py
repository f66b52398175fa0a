"""Shows progress: a live line on a terminal, a line every few seconds in a log (``watch``-able)."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mindgpt_data.io.progress import Progress as Listener
from mindgpt_plugins.core.console import make_console

EVERY = 5.0
"""Seconds between lines when the output is no terminal."""


@contextmanager
def show_updates(verb: str) -> Iterator[Listener]:
    """A listener that shows the updates of ``verb``."""
    console = make_console(stderr=True)
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[more]}"),
        )
        with Progress(*columns, TextColumn("{task.fields[more]}"), TimeElapsedColumn(), console=console) as bar:
            task = bar.add_task(verb, total=None, more="")

            def live(update: dict[str, Any]) -> None:
                bar.update(
                    task,
                    description=str(update.get("stage", verb)),
                    completed=update.get("step"),
                    total=update.get("total"),
                    more=format_progress_details(update),
                )

            yield live
        return
    log = _Log(verb)
    yield log.update
    log.end()


class _Log:
    """Lines for a log; a stage that ends within :data:`EVERY` seconds leaves none."""

    def __init__(self, verb: str):
        self.verb, self.at = verb, time.monotonic()
        self.last: dict[str, Any] = {}
        self.printed = False

    def update(self, update: dict[str, Any]) -> None:
        """Hear of progress."""
        if self.last and self.last.get("stage") != update.get("stage"):
            self.end()
        self.last = update
        if time.monotonic() - self.at >= EVERY:
            self._print()

    def end(self) -> None:
        """The stage's last line, if it had any."""
        if self.printed and self.last:
            self._print()
        self.printed, self.at, self.last = False, time.monotonic(), {}

    def _print(self) -> None:
        total = self.last.get("total")
        text = f"{self.last.get('stage', self.verb)}: {self.last.get('step', 0)}{f' of {total}' if total else ''}"
        print(" · ".join(filter(None, (text, format_progress_details(self.last)))), file=sys.stderr, flush=True)
        self.at, self.printed, self.last = time.monotonic(), True, {}


def format_progress_details(update: dict[str, Any]) -> str:
    """``41.2/s · failed 3 · $0.12 · 00:41 left``, whatever of it the update holds."""
    parts = []
    if update.get("rate"):
        parts.append(f"{update['rate']:.1f}/s")
    if update.get("failed"):
        parts.append(f"failed {update['failed']}")
    if update.get("cost"):
        parts.append(f"cost {update['cost']:.2f}")
    if update.get("eta") is not None:
        minutes, seconds = divmod(int(update["eta"]), 60)
        parts.append(f"{minutes:02d}:{seconds:02d} left")
    return " · ".join(parts)
