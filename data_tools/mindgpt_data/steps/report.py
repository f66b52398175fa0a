"""Step ``report``: whatever has run → ``report.html`` and ``report.json``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from mindgpt_data.io.progress import Progress, ignore_update
from mindgpt_data.io.work import Work
from mindgpt_data.report.build import write_data_report
from mindgpt_data.schema.config import DataSettings
from mindgpt_data.tree.files import load_tree
from mindgpt_data.tree.model import DIMENSIONS, Tree


def run(work: Work, settings: DataSettings, *, seed: int = 0, progress: Progress = ignore_update) -> dict[str, Any]:
    """Write the report of a work folder, however far its steps are.

    Raises:
        FileError: the folder is missing or a file in it is malformed.
        TreeError: the label tree of the settings cannot be read.
    """
    started = time.monotonic()
    path, data = write_data_report(work, settings, load_label_trees(settings), seed=seed)
    summary = {
        "page": str(path),
        "bytes": path.stat().st_size,
        "done": [s["step"] for s in data["overview"]["steps"] if s["done"]],
        "missing": [s["step"] for s in data["overview"]["steps"] if not s["done"]],
        "seconds": round(time.monotonic() - started, 3),
        "seed": seed,
    }
    progress({"stage": "report", "step": 1, "total": 1})
    work.write_summary("report", summary)
    return summary


def load_label_trees(settings: DataSettings) -> dict[str, Tree]:
    """The label trees the settings name."""
    named = settings.tree.model_dump()
    return {d: load_tree(d, None if named[d] == "builtin" else Path(named[d]), whole=False) for d in DIMENSIONS}
