"""What the user sees while a run goes on: a live bar per stage on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from mindgpt_plugins.pipeline.plan import Plan

#: Numbers worth a place in the line, most telling first.
_SHOWN = ("reward", "loss", "accuracy", "lr")
_PLAIN_EVERY = 20.0


def format_gigabytes(size: float) -> str:
    """Bytes as ``1.2 GB``."""
    return f"{size / 1e9:.1f} GB"


def format_wall_time(seconds: float) -> str:
    """Seconds as ``12 s`` or ``3 min 05 s``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def show_plan(console: Console, plan: Plan) -> None:
    """Print what would happen, before it happens."""
    table = Table(title=escape(f"{plan.recipe.name} → {plan.run}"), title_justify="left")
    for column in ("stage", "kind", "what happens", "why", "folder"):
        table.add_column(column, overflow="fold")
    colours = {"reuse": "green", "resume": "yellow", "run": "cyan", "not selected": "dim"}
    for stage in plan.stages:
        colour = colours[stage.status]
        status = Text(stage.status, style=colour)
        table.add_row(
            *map(Text, (stage.name, stage.config.kind)), status, *map(Text, (stage.reason, stage.folder.name))
        )
    console.print(table)
    for stage in plan.stages:
        if stage.damage is not None:
            console.print(f"{stage.name}: {stage.damage}", style="yellow", soft_wrap=True, markup=False, emoji=False)


class StageProgress:
    """Progress of one running stage. Use as a context manager."""

    def __init__(self, console: Console, name: str, position: str):
        self._console = console
        self._name = f"[{position}] {name}"
        self._started = self._spoken = time.monotonic()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> StageProgress:
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}", style="bold", markup=False),
                BarColumn(bar_width=28),
                TextColumn("{task.fields[count]}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[numbers]}"),
                console=self._console,
                transient=True,
            )
            self._task = self._bar.add_task(self._name, total=None, count="starting", numbers="")
            self._bar.start()
        else:
            self._console.print(f"{self._name}: started", markup=False)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, metrics: dict[str, Any], peak: int) -> None:
        """Show the newest metrics line and the peak memory (bytes) so far."""
        numbers = " ".join(f"{key} {metrics[key]:.3g}" for key in _SHOWN if isinstance(metrics.get(key), (int, float)))
        text = f"{numbers} · {format_gigabytes(peak)}".strip(" ·")
        step, total = metrics.get("step"), metrics.get("total")
        count = f"{step}/{total}" if step is not None else "starting"
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=step or 0, total=total, count=count, numbers=text)
        elif time.monotonic() - self._spoken >= _PLAIN_EVERY:
            self._spoken = time.monotonic()
            self._console.print(
                f"{self._name}: {count} after {format_wall_time(self._spoken - self._started)} · {text}"
            )
