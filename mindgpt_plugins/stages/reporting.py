"""What a stage kind says about its place in a run's report; every stage is in the table of stages and the configs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindgpt_plugins.core import files


@dataclass(frozen=True)
class Charts:
    """How the ``metrics.jsonl`` of a training stage is drawn.

    Attributes:
        shown: title → pattern of the metrics in that chart, ``label`` names the line; the rest is folded by prefix.
        heading: of the charts.
        alone: the stage has a heading of its own; otherwise all stages with this heading share a grid.
        reward: metrics that may hold the mean training reward, the first that is there counts; empty: it has none.
    """

    shown: Mapping[str, str]
    heading: str
    alone: bool = False
    reward: tuple[str, ...] = ()


class ReportRules:
    """What the report shows of a stage kind, in its ``report.py``. Stateless."""

    charts: Charts | None = None
    """Of its training, if it trains."""
    rollouts: bool = False
    """Does it dump replies with their scores and advantages into ``rollouts/``, one JSONL file per step?"""

    def read_figures(self, folder: Path) -> Mapping[str, Any]:
        """Section of ``report.json`` → what a stage's folder holds for it; None where it is not there (yet)."""
        return {}


def read_json_if_complete(path: Path) -> dict[str, Any] | None:
    """The object in a file; None when it is absent, damaged or being written by someone who does not rename."""
    try:
        found = files.read_json(path)
    except (FileNotFoundError, NotADirectoryError, files.FileError):
        return None
    return found if isinstance(found, dict) else None
