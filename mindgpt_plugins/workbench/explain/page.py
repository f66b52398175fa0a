"""The findings as one HTML page that needs nothing else."""

from __future__ import annotations

from typing import Any

from mindgpt_plugins.web.page import render_page
from mindgpt_plugins.workbench.explain.words import (
    SECTIONS,
    describe_exchange_rate,
    format_rate_interval,
    format_share_band,
    list_headlines,
    list_reader_notes,
)


def render_explain_page(data: dict[str, Any]) -> str:
    """The page."""
    return render_page(
        "explain.html",
        data=data,
        sections=SECTIONS,
        notes=list_reader_notes(data),
        headlines=list_headlines(data),
        rates=describe_exchange_rate(data["exchange"]),
        bands=[[format_share_band(b), b["groups"], format_rate_interval(b)] for b in data["exchange"]["end"]["bands"]],
    )
