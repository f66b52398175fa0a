"""Sections to check the figures against: replies beside pictures, RL groups, exact configs."""

from __future__ import annotations

from html import escape
from typing import Any

from mindgpt_plugins.workbench.report.html import MISSING, picture
from mindgpt_plugins.workbench.report.run import Run

LARGEST_FILE = 20_000
"""Characters of a config file that are shown."""
_NOT_CONFIGS = {"artefacts.json", "manifest.json", "scores.json", "data_report.json", "summary.json", "report.json"}
_SUFFIXES = (".yaml", ".yml", ".json", ".sh")


def examples(data: dict[str, Any]) -> str:
    """The same held-out items answered by every model."""
    cards = "".join(_example(item) for item in data["examples"])
    if not cards:
        return ""
    where = f"<code>{escape(str(data['held_out_set']))}</code>"
    intro = f"<p class=soft>Greedy replies on {where}; items whose outcome changed come first.</p>"
    return f"<h2>The same items, model after model</h2>{intro}<div class=examples>{cards}</div>"


def _example(item: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><th>{escape(model)}</th><td>{_mark(r['correct'])}</td><td>{escape(r['reply']) or MISSING}</td></tr>"
        for model, r in item["replies"].items()
    )
    pictures = "".join(picture(path) for path in item["images"])
    return (
        f'<div class="example"><div class="question">{pictures}<p>{escape(item["question"])}<br>'
        f"<b>{escape(item['answer'])}</b><br>"
        f"<small>{escape(item['source'])} · {escape(item['capability'])}</small></p></div>"
        f"<table class=replies>{rows}</table></div>"
    )


def rollouts(data: dict[str, Any]) -> str:
    """A few RL groups side by side, with scores, components and advantages."""
    cards = "".join(_group(group) for group in data["rollouts"])
    return (
        "<h2>RL groups</h2><p class=soft>All replies to one prompt, from early to late steps; mixed groups "
        'preferred. <a href="rollouts.html">All groups, to filter and search</a>.</p>'
        f'<div class="examples wide">{cards}</div>'
        if cards
        else ""
    )


def _group(group: dict[str, Any]) -> str:
    names = list(dict.fromkeys(name for r in group["replies"] for name in r["components"]))
    head = "".join(f"<th class=num>{escape(name)}</th>" for name in ["score", "A", *names])
    ordered = sorted(group["replies"], key=lambda r: -(r["advantage"] or 0.0))
    rows = "".join(
        f"<tr><td>{escape(r['reply']) or MISSING}</td>"
        + "".join(
            f"<td class=num>{_value(v)}</td>"
            for v in [r["score"], r["advantage"], *(r["components"].get(n) for n in names)]
        )
        + "</tr>"
        for r in ordered
    )
    pictures = "".join(picture(path) for path in group["images"])
    more = f" · {len(group['replies'])} of {group['size']} shown" if group["size"] > len(group["replies"]) else ""
    return (
        f'<div class="example"><div class="question">{pictures}<p>{escape(group["prompt"])}<br>'
        f"<b>{escape(group['target'])}</b><br><small>{escape(group['stage'])} · step {group['step']} · "
        f'{escape(group["source"])}{more}</small></p></div><div class="scroll"><table class="replies group">'
        f"<thead><tr><th>reply</th>{head}</tr></thead>{rows}</table></div></div>"
    )


def configs(run: Run) -> str:
    """The resolved recipe and each stage's rendered files, exactly as they ran."""
    text = ""
    resolved = run.folder / str(run.manifest.get("resolved", "recipe.resolved.yaml"))
    if resolved.is_file():
        text += _file("recipe, resolved", resolved.read_text(encoding="utf-8"))
    for stage in run.stages:
        files = sorted(
            path
            for path in (stage.folder.iterdir() if stage.folder.is_dir() else ())
            if path.is_file() and path.suffix in _SUFFIXES and path.name not in _NOT_CONFIGS and path.name[0] != "."
        )
        shown = "".join(_file(path.name, path.read_text(encoding="utf-8", errors="replace")) for path in files)
        if shown:
            where = f"{escape(stage.name)} <small>{escape(stage.folder.name)}</small>"
            text += f"<details><summary>{where}</summary>{shown}</details>"
    return f"<h2>Exact configs</h2>{text}" if text else ""


def _file(name: str, content: str) -> str:
    cut = ""
    if len(content) > LARGEST_FILE:
        cut = f"\n… {len(content) - LARGEST_FILE} more characters in the file"
    return f"<details><summary>{escape(name)}</summary><pre>{escape(content[:LARGEST_FILE])}{cut}</pre></details>"


def _mark(right: bool) -> str:
    return '<b class="good" title="right">✓</b>' if right else '<b class="bad" title="wrong">✗</b>'


def _value(value: float | None) -> str:
    if value is None:
        return MISSING
    return f"{value:.2f}".rstrip("0").rstrip(".") if value else "0"
