"""Stops a run whose figures are not finite, and does what the recipe's guard says of curves that have gone wrong.

Both trainers show it every line of ``metrics.jsonl`` when the line is written and before a checkpoint may be: the
numbers are on the host by then, so that looking costs no synchronisation with the device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.metrics import append_record, read_metrics, truncate_metrics
from mindgpt_plugins.core.schema import Strict
from mindgpt_plugins.guards.divergence import (
    RECORD,
    Divergence,
    describe_divergence,
    find_last_checkpoint,
    set_aside_unproven,
    write_divergence,
)
from mindgpt_plugins.guards.watch import Alarm, Watch, find_unfinite_figure

WARNINGS = "warnings.jsonl"
"""One line per warning: ``step``, ``total``, ``guard``, ``text``."""


@dataclass(frozen=True)
class Checkpoints:
    """Where a trainer's checkpoints lie and how their names begin."""

    folder: Path
    prefix: str


class TrainingMonitor:
    """Judges a run's figures, line by line.

    Args:
        folder: where ``metrics.jsonl`` lies and the records are written.
        finite: figures that must be finite, first the one to be named.
        watch: finds curves that have gone wrong.
        settings: of the guard, for the record of a stop.
        checkpoints: of this run.
        advice: what to try when numbers are not finite.
        writes: False for all ranks but the first: they judge alike and write nothing.
    """

    def __init__(
        self,
        folder: Path,
        finite: Sequence[str],
        watch: Watch,
        settings: Strict,
        checkpoints: Checkpoints,
        advice: Sequence[str],
        writes: bool = True,
    ):
        self.folder, self.names, self.watch, self.settings = folder, tuple(finite), watch, settings
        self.checkpoints, self.advice, self.writes = checkpoints, tuple(advice), writes
        self._finite = 0

    def resume(self, step: int, metrics: Path | None) -> None:
        """Begin after ``step``: show the watch what was before, and forget what will be judged again."""
        self._finite = step
        for line in read_metrics(metrics) if metrics is not None else ():
            if line["step"] <= step:  # another rank may not have cut the later ones yet
                self.watch.observe(line)
        if self.writes:
            truncate_metrics(self.folder / WARNINGS, step)
            (self.folder / RECORD).unlink(missing_ok=True)

    def find_fault(self, figures: Mapping[str, Any]) -> str | None:
        """What is not finite, as text; ``None``: nothing."""
        found = find_unfinite_figure(figures, self.names)
        return None if found is None else f"{found[0]} is {found[1]:g}"

    def judge_step(
        self, step: int, total: int, figures: Mapping[str, Any], fault: str | None, rows: Sequence[str] = ()
    ) -> str | None:
        """Judge the figures of a step: warn, or write the record of a stop.

        Args:
            step: that was finished.
            total: steps of the run.
            figures: of the step.
            fault: what :meth:`find_fault` says, or what another rank's says.
            rows: of the step, where they are known.

        Returns:
            Why the run must stop, for :class:`.divergence.TrainingDiverged` once every rank is told; ``None``: go on.
        """
        if fault is not None:
            return self._stop(step, total, fault, rows, None)
        self._finite = step
        alarms = self.watch.observe(figures)
        for alarm in alarms:
            if alarm.action == "warn" and self.writes:
                self._warn(step, total, alarm)
        stop = next((alarm for alarm in alarms if alarm.action == "stop"), None)
        return None if stop is None else self._stop(step, total, stop.text, rows, stop)

    def _warn(self, step: int, total: int, alarm: Alarm) -> None:
        print(f"mindgpt: warning: step {step}: {alarm.text} (guard.{alarm.guard})", flush=True)
        line = {"step": step, "total": total, "guard": alarm.guard, "text": alarm.text}
        self.folder.mkdir(parents=True, exist_ok=True)
        append_record(self.folder / WARNINGS, line)

    def _stop(self, step: int, total: int, found: str, rows: Sequence[str], alarm: Alarm | None) -> str:
        if not self.writes:
            return f"{found} at step {step}; the first rank says more"
        where = self.checkpoints
        if alarm is None:
            good, aside = set_aside_unproven(where.folder, where.prefix, self._finite)
            advice = self.advice
        else:
            good, aside = find_last_checkpoint(where.folder, where.prefix), []
            advice = (f"guard: {{{alarm.guard}: warn}} to go on all the same; the recipe's other keys stay",)
        record = Divergence(
            found=found,
            step=step,
            total=total,
            finite=self._finite,
            checkpoint=None if good is None else str(good),
            aside=tuple(path.name for path in aside),
            rows=tuple(rows),
            advice=advice,
            guard=None if alarm is None else self.settings.model_dump(mode="json"),
        )
        write_divergence(self.folder, record)
        return describe_divergence(record, self.folder)
