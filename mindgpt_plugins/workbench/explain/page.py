"""The findings as one HTML page that needs nothing else."""

from __future__ import annotations

from typing import Any

from mindgpt_plugins.web.page import render_page
from mindgpt_plugins.workbench.explain.words import SECTIONS, band, headlines, interval, notes, rates


def render(data: dict[str, Any]) -> str:
    """The page."""
    return render_page(
        "explain.html",
        data=data,
        sections=SECTIONS,
        notes=notes(data),
        headlines=headlines(data),
        rates=rates(data["exchange"]),
        bands=[[band(b), b["groups"], interval(b)] for b in data["exchange"]["end"]["bands"]],
    )
