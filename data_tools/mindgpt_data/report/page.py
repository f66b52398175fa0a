"""Puts the sections into one HTML page that needs nothing else."""

from __future__ import annotations

from html import escape
from importlib import resources
from typing import Any

from mindgpt_data.report import corpus_page, focus_page, items_page, labels_page
from mindgpt_data.report.thumbs import Thumbs

LARGEST = 10_000_000
"""Bytes; what is embedded is bounded so that the page of a large corpus stays below."""


def render(data: dict[str, Any], thumbs: Thumbs) -> str:
    """The whole page from the figures of ``report.json`` and the corpus' pictures."""
    sections = [
        ("overview", "Overview", corpus_page.overview(data)),
        ("tree", "Label tree", labels_page.explorer(data)),
        ("topics", "Weakest topics", labels_page.weak(data)),
        ("density", "Density", corpus_page.density(data, thumbs)),
        ("budget", "Budget", corpus_page.budget(data)),
        ("focus", "Focus", focus_page.focus(data)),
        ("gates", "Gates", items_page.gates(data, thumbs)),
        ("duplicates", "Look-alikes", items_page.duplicates(data, thumbs)),
        ("answers", "Answers", items_page.distributions(data)),
        ("twins", "Twins", items_page.twins(data, thumbs)),
        ("cost", "Cost", corpus_page.costs(data)),
        ("samples", "Items", items_page.samples(data, thumbs)),
    ]
    shown = [(key, title, body) for key, title, body in sections if body]
    nav = "".join(f'<a href="#{key}">{title}</a>' for key, title, _ in shown)
    body = "".join(f'<section id="{key}">{text}</section>' for key, _, text in shown)
    shared = (resources.files("mindgpt_plugins.workbench.report") / "style.css").read_text(encoding="utf-8")
    own = resources.files("mindgpt_data.report")
    style, script = ((own / name).read_text(encoding="utf-8") for name in ("style.css", "page.js"))
    name = escape(data["name"])
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name} · data report</title><style>{shared}{style}</style></head>"
        f'<body><h1>{name}</h1><p class="soft">Data report · figures in report.json</p><nav>{nav}</nav>{body}'
        f"<script>{script}</script></body></html>\n"
    )
