"""Shows progress: a live line on a terminal, a line every few seconds in a log (``watch``-able)."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mindgpt_data.progress import Progress as Listener

EVERY = 5.0
"""Seconds between lines when the output is no terminal."""


@contextmanager
def shown(verb: str) -> Iterator[Listener]:
    """A listener that shows every update of ``verb``; the last one is always shown."""
    console = Console(stderr=True)
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
                    more=details(update),
                )

            yield live
        return
    state: dict[str, Any] = {"at": 0.0, "last": None}

    def line(update: dict[str, Any]) -> None:
        state["last"] = update
        if time.monotonic() - state["at"] >= EVERY:
            _print(verb, state)

    yield line
    if state["last"] is not None:
        _print(verb, state)


def details(update: dict[str, Any]) -> str:
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


def _print(verb: str, state: dict[str, Any]) -> None:
    update, state["at"], state["last"] = state["last"], time.monotonic(), None
    total = update.get("total")
    text = f"{update.get('stage', verb)}: {update.get('step', 0)}{f' of {total}' if total else ''}"
    print(" · ".join(filter(None, (text, details(update)))), file=sys.stderr, flush=True)
