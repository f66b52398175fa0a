"""Sections about labels: the tree explorer, thin branches and weak topics."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from mindgpt_data.report.text import MISSING, count, cut, percent, table

ROWS = 12
"""Of each table; the explorer and report.json have the rest."""
TITLES = {"knowledge": "Knowledge", "capability": "Capability"}


def explorer(data: dict[str, Any]) -> str:
    """The interactive tree: treemap and table, drilled down by script; its figures lie in the page as JSON."""
    parts = []
    for dimension, tree in data["trees"].items():
        cover = tree["coverage"]
        parts.append(
            f"<li><b>{TITLES[dimension]}</b>: {percent(cover['covered'])} of {count(cover['leaves'])} topics covered, "
            f"evenness {cover['entropy']:.2f}{_unlisted(tree['unlisted'])}{_unknown(tree['unknown'])}</li>"
        )
    slim = {
        d: {"nodes": [_packed(node) for node in t["nodes"]], "definitions": t["definitions"]}
        for d, t in data["trees"].items()
    }
    return (
        "<h2>Label tree</h2><p>Where the data is thin. Area: topics below a label; colour: what you choose. Click a "
        "field or a row to go down. <b>Short</b> is how many kept items a label lacks to an even share.</p>"
        f"<ul>{''.join(parts)}</ul><p class=soft>Evenness: entropy of kept items over topics, 1 when all have equally "
        "many.</p><div id=explorer><noscript>The explorer needs JavaScript; the tables below do not.</noscript></div>"
        f"<script type='application/json' id=trees>{embedded(slim)}</script>"
    )


def embedded(data: Any) -> str:
    """JSON that cannot end its script element or open a comment."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").replace("\u2028", "\\u2028")


def _packed(node: list[Any]) -> list[Any]:
    """Without the zeros at the end: most topics of a large tree have nothing."""
    last = len(node)
    while last > 2 and node[last - 1] == 0:
        last -= 1
    return node[:last]


def _unlisted(topics: int) -> str:
    return f"; {count(topics)} topics with nothing yet are counted but not listed" if topics else ""


def _unknown(labels: dict[str, int]) -> str:
    if not labels:
        return ""
    first = ", ".join(f"{cut(name, 60)} ({count(n)})" for name, n in list(labels.items())[:5])
    return (
        f'; <span class="warn">{count(len(labels))} label(s) of items are not in this tree (give the run\'s '
        f"<code>--config</code>): {first}</span>"
    )


def weak(data: dict[str, Any]) -> str:
    """Thinnest level-2 branches of both dimensions and the weakest topics."""
    knowledge, capability = data["trees"]["knowledge"], data["trees"]["capability"]
    pictureless = knowledge["pictureless"]
    advice = ""
    if pictureless is not None:
        advice = (
            f" {count(pictureless)} of {count(knowledge['coverage']['leaves'])} knowledge topics have no picture: only "
            "more pictures help there."
        )
    return (
        f"<h2>Weakest topics</h2><p>Topics that were tried (matched to a picture or asked about), fewest kept items "
        f"first: here the teacher or the gates lose them.{advice}</p>"
        + _table(knowledge["weakest"][:ROWS], knowledge["tried"], pictures=True)
        + f"<h3>{TITLES['capability']}</h3>"
        + _table(capability["weakest"][:ROWS], capability["tried"], pictures=False)
        + "<h3>Thinnest branches (level 2)</h3>"
        + _table(knowledge["thin"][:ROWS], None, pictures=True)
    )


def _table(entries: list[dict[str, Any]], tried: int | None, *, pictures: bool) -> str:
    if not entries:
        return "<p class=soft>Nothing yet.</p>"
    many = entries[0]["topics"] > 1
    head = ["label", *(["topics", "covered"] if many else []), *(["pictures"] if pictures else [])]
    head += ["generated", "kept", "acceptance", "short"]
    rows = []
    for e in entries:
        name = " › ".join(cut(part, 40) for part in e["path"])
        rows.append(
            [
                f'<span title="{escape(e["label"])}">{name}</span>',
                *([count(e["topics"]), percent(e["covered"], e["topics"])] if many else []),
                *([count(e["pictures"])] if pictures else []),
                count(e["generated"]),
                count(e["kept"]),
                percent(e["acceptance"]) if e["acceptance"] is not None else MISSING,
                short(e["short"]),
            ]
        )
    more = (
        f"<p class=soft>{count(tried - len(entries))} more in report.json and the tree.</p>"
        if tried and tried > len(entries)
        else ""
    )
    return f"<div class=labels>{table(head, rows)}</div>{more}"


def short(value: float) -> str:
    """Missing items; a surplus as a soft dash."""
    if value < 0.05:
        return MISSING
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
