"""Puts the sections into one HTML page that needs nothing else."""

from __future__ import annotations

from html import escape
from importlib import resources
from typing import Any

from mindgpt_plugins.workbench.report import (
    abilities_page,
    benchmarks_page,
    branches_page,
    evidence_page,
    training_page,
)
from mindgpt_plugins.workbench.report.run import Run

LARGEST = 5_000_000
"""Bytes; what is embedded is bounded so that the page stays below."""


def render(data: dict[str, Any], run: Run) -> str:
    """The whole page from the figures of ``report.json`` and, for configs and pictures, the run's files."""
    sections = [
        ("stages", "Stages", training_page.stages(data)),
        ("matrix", "Accuracy", abilities_page.matrix(data)),
        ("retention", "Retention", abilities_page.retention(data)),
        ("branches", "Branches", branches_page.section(data)),
        ("benchmarks", "Benchmarks", benchmarks_page.section(data)),
        ("interpolation", "Interpolation", abilities_page.interpolations(data)),
        ("passk", "pass@k", abilities_page.pass_at(data)),
        ("training", "Training", training_page.curves(data)),
        ("data", "Data", training_page.data(data)),
        ("examples", "Examples", evidence_page.examples(data)),
        ("rollouts", "Rollouts", evidence_page.rollouts(data)),
        ("configs", "Configs", evidence_page.configs(run)),
    ]
    shown = [(key, title, body) for key, title, body in sections if body]
    nav = "".join(f'<a href="#{key}">{title}</a>' for key, title, _ in shown)
    body = "".join(f'<section id="{key}">{text}</section>' for key, _, text in shown)
    files = resources.files("mindgpt_plugins.workbench.report")
    style, script = ((files / name).read_text(encoding="utf-8") for name in ("style.css", "readout.js"))
    name = escape(str(data["recipe"]))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name} · mindgpt report</title><style>{style}</style></head>"
        f"<body><h1>{name}</h1>{_subtitle(data)}{abilities_page.headline(data)}{_notes(data)}<nav>{nav}</nav>{body}"
        f"<script>{script}</script></body></html>\n"
    )


def _subtitle(data: dict[str, Any]) -> str:
    state = "finished" if data["complete"] else '<b class="warn">not finished</b>'
    done = sum(s["status"] in ("done", "reused") for s in data["stages"])
    when = f"started {escape(str(data['created']))} · " if data["created"] else ""
    return f'<p class="soft">{when}{state} · {done} of {len(data["stages"])} stages done · figures in report.json</p>'


def _notes(data: dict[str, Any]) -> str:
    items = "".join(f"<li>{escape(note)}</li>" for note in data["notes"])
    return f'<ul class="notes">{items}</ul>' if items else ""
