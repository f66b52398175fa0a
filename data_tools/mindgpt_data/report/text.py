"""Numbers and texts for people."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

from mindgpt_plugins.workbench.report.html import MISSING, seconds, table

__all__ = ["MISSING", "count", "cut", "missing", "percent", "scroll", "seconds", "table", "tiles"]

LONGEST = 400
"""Characters of a text on the page; report.json has it whole."""


def count(value: float | None) -> str:
    """``12,345``; a dash when there is none."""
    return MISSING if value is None else f"{value:,.0f}"


def percent(part: float | None, whole: float | None = 1.0) -> str:
    """``37.5 %`` of ``whole``; a dash when there is nothing to take a share of."""
    if part is None or not whole:
        return MISSING
    share = 100 * part / whole
    return f"{share:.0f} %" if share in (0, 100) or share >= 99.95 else f"{share:.1f} %"


def cut(text: Any, longest: int = LONGEST) -> str:
    """Escaped text, shortened with an ellipsis."""
    plain = str(text)
    return escape(plain if len(plain) <= longest else plain[: longest - 1] + "…")


def tiles(entries: Iterable[tuple[str, str, str]]) -> str:
    """Headline figures: label, value (ready HTML) and a small line below (ready HTML)."""
    return (
        "<div class=tiles>"
        + "".join(f"<div class=tile><span>{a}</span><b>{b}</b><small>{c}</small></div>" for a, b, c in entries)
        + "</div>"
    )


def missing(verb: str, what: str) -> str:
    """Stands in for a section whose step has not run."""
    return f"<p class=soft>Not run yet: <code>mindgpt data {verb}</code> {what}.</p>"


def scroll(body: str) -> str:
    """Lets wide content scroll sideways on a narrow screen."""
    return f"<div class=scroll>{body}</div>"
