"""Writes ``report.html``, ``report.json`` and ``rollouts.html`` into a run folder."""

from __future__ import annotations

from pathlib import Path

from mindgpt_plugins.core.files import write_json, write_text
from mindgpt_plugins.workbench.report import browser
from mindgpt_plugins.workbench.report.figures import compute_report_figures
from mindgpt_plugins.workbench.report.page import render_report_page
from mindgpt_plugins.workbench.report.run import load_run


def build_report(run: Path) -> Path:
    """Read a run's manifest and stage folders and write its report.

    Args:
        run: folder with ``manifest.json``. Stages may be unfinished or missing; the page says so.

    Returns:
        Path of ``report.html``; ``report.json`` lies beside it, and ``rollouts.html`` when there are any.

    Raises:
        FileNotFoundError: there is no manifest.
    """
    loaded = load_run(run)
    data = compute_report_figures(loaded)
    write_json(run / "report.json", data)
    page = run / "report.html"
    write_text(page, render_report_page(data, loaded))
    rollouts = browser.render_browser_page(loaded)
    if rollouts is not None:
        write_text(run / "rollouts.html", rollouts)
    return page
