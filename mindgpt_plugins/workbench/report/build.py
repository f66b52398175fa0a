"""Writes ``report.html``, ``report.json`` and ``rollouts.html`` into a run folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

from mindgpt_plugins.workbench.report import browser
from mindgpt_plugins.workbench.report.figures import figures
from mindgpt_plugins.workbench.report.page import render
from mindgpt_plugins.workbench.report.run import load


def build(run: Path) -> Path:
    """Read a run's manifest and stage folders and write its report.

    Args:
        run: folder with ``manifest.json``. Stages may be unfinished or missing; the page says so.

    Returns:
        Path of ``report.html``; ``report.json`` lies beside it, and ``rollouts.html`` when there are any.

    Raises:
        FileNotFoundError: there is no manifest.
    """
    loaded = load(run)
    data = figures(loaded)
    _write(run / "report.json", json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    page = run / "report.html"
    _write(page, render(data, loaded))
    rollouts = browser.page(loaded)
    if rollouts is not None:
        _write(run / "rollouts.html", rollouts)
    return page


def _write(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, path)
