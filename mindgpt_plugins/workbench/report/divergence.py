"""What the report says of stages that were stopped because they diverged, and of their guards' warnings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mindgpt_plugins.guards.divergence import read_divergence, summarise_divergence
from mindgpt_plugins.guards.monitor import WARNINGS
from mindgpt_plugins.workbench.report.run import StageView

MOST = 3
"""Warnings of a stage that are noted in words."""


def collect_divergence_figures(stage: StageView) -> dict[str, Any]:
    """``stopped``: what was found and where to go back to, or None; ``warnings``: (step, guard, text) of each."""
    found = read_divergence(stage.folder)
    stopped = None
    if found is not None:
        stopped = {"found": summarise_divergence(found), "checkpoint": found.checkpoint, "advice": list(found.advice)}
    warnings = [{key: line[key] for key in ("step", "guard", "text")} for line in stage.lines(WARNINGS)]
    return {"stopped": stopped, "warnings": warnings}


def note_divergence(stages: Iterable[StageView]) -> list[str]:
    """The same in words: every stop, and the first warnings of each stage."""
    notes = []
    for stage in stages:
        figures = collect_divergence_figures(stage)
        if stopped := figures["stopped"]:
            good = stopped["checkpoint"] or "none"
            tried = f"; try {stopped['advice'][0]}" if stopped["advice"] else ""
            notes.append(f"{stage.name} was stopped: {stopped['found']}; last good checkpoint: {good}{tried}")
        warnings = figures["warnings"]
        notes += [f"{stage.name}, step {one['step']}: {one['text']} (guard.{one['guard']})" for one in warnings[:MOST]]
        if len(warnings) > MOST:
            notes.append(f"{stage.name}: {len(warnings) - MOST} more warnings are in its {WARNINGS}")
    return notes
