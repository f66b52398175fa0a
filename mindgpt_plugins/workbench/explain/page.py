"""The findings as one HTML page that needs nothing else."""

from __future__ import annotations

from html import escape
from importlib import resources
from typing import Any

from mindgpt_plugins.workbench.explain.words import SECTIONS, band, headlines, interval, notes, percent, rates, short
from mindgpt_plugins.workbench.report import svg
from mindgpt_plugins.workbench.report.html import table


def render(data: dict[str, Any]) -> str:
    """The page."""
    made = {
        "rewards": _rewards(data["rewards"]),
        "shares": _shares(data["shares"]),
        "by_right": _by_right(data["by_right"]),
        "order": _order(data["order"]),
        "flips": _flips(data["flips"]) if data["flips"] else "",
        "exchange": _exchange(data["exchange"]),
        "parameters": _parameters(data["parameters"]),
    }
    shown = {key: body for key, body in made.items() if body}
    nav = "".join(f'<a href="#{key}">{SECTIONS[key][0]}</a>' for key in shown)
    body = "".join(
        f'<section id="{key}"><h2>{SECTIONS[key][0]}</h2><p class=soft>{escape(SECTIONS[key][1])}</p>{text}</section>'
        for key, text in shown.items()
    )
    files = resources.files("mindgpt_plugins.workbench.report")
    style, script = ((files / name).read_text(encoding="utf-8") for name in ("style.css", "readout.js"))
    name = escape(data["recipe"])
    against = f" against {escape(data['against'])}" if data["against"] else ""
    items = "".join(f"<li>{escape(line)}</li>" for line in notes(data))
    found = "".join(f"<li>{escape(line)}</li>" for line in headlines(data)) or "<li>nothing</li>"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name} · mindgpt explain</title><style>{style}</style></head>"
        f"<body><h1>{name}{against}</h1><p class=soft>{data['replies']} replies to {data['groups']} prompts "
        f"· advantage {escape(data['advantage'])} · no training</p>{f'<ul class=notes>{items}</ul>' if items else ''}"
        f"<h2>What stands out</h2><ul>{found}</ul><nav>{nav}</nav>{body}<script>{script}</script></body></html>\n"
    )


def _rewards(rows: list[dict[str, Any]]) -> str:
    head = [
        "reward",
        "role",
        "scored",
        "mean",
        "std",
        "min",
        "max",
        "most frequent",
        "late in the run",
        "alike in group",
        "",
    ]
    return table(
        head,
        [
            [
                escape(r["name"]),
                r["role"],
                percent(r["scored"], 1),
                *(short(r[key]) for key in ("mean", "std", "low", "high")),
                "–" if r["most"] is None else f"{r['most']:.3g} ({percent(r['share'], 1)})",
                "–" if r["share_late"] is None else percent(r["share_late"], 1),
                "–" if r["flat"] is None else percent(r["flat"], 1),
                "" if r["verdict"] == "ok" else f"<b class=warn>{r['verdict'].replace('_', ' ')}</b>",
            ]
            for r in rows
        ],
        numeric=range(2, 10),
    )


def _shares(shares: dict[str, Any]) -> str:
    parts = shares["parts"]
    bars = svg.bars("share of |A|", {name: round(100 * p["share"], 1) for name, p in parts.items()}, unit=" %")
    curves = {name: [[x, 100 * y] for x, y in p["curve"]] for name, p in parts.items() if p["curve"]}
    along = svg.line_chart("along the run, %", curves, note="x: share of the run")
    return f"<div class=charts>{bars}{along}</div><p>Mean |A| of a reply: {short(shares['abs_mean'])}</p>"


def _by_right(found: dict[str, Any]) -> str:
    rows = found["rows"]
    lines = {"observed": [[r["right"], r["push"]] for r in rows if r["push"] is not None]}
    lines["bare, first λ"] = [[r["right"], r["start"]] for r in rows]
    lines["bare, last λ"] = [[r["right"], r["end"]] for r in rows]
    push = svg.line_chart("Σ|A| of a prompt", lines, note=f"x: right of {found['n']} replies")
    share = svg.bars(
        "share of all |A|, by right replies",
        {str(r["right"]): round(100 * r["share"], 1) for r in rows},
        unit=" %",
        most=33,
    )
    other = f"<p class=soft>{found['other_sizes']} groups of other sizes count at the nearest share.</p>"
    body = table(
        [
            f"right of {found['n']}",
            "groups",
            "Σ|A|",
            "share of all",
            "mean A, right",
            "mean A, wrong",
            "bare, first λ",
            "bare, last λ",
        ],
        [
            [
                str(r["right"]),
                str(r["groups"]),
                short(r["push"]),
                percent(r["share"], 1),
                *(short(r[key]) for key in ("right_mean", "wrong_mean", "start", "end")),
            ]
            for r in rows
        ],
    )
    return f"<div class=charts>{push}{share}</div>{body}{other if found['other_sizes'] else ''}"


def _order(order: dict[str, Any]) -> str:
    return (
        f"<ul><li>a wrong reply at or above a right one: {order['order']} of {order['mixed']} mixed groups</li>"
        f"<li>right replies pushed down: {order['pushed_down']} of {order['right']}, {order['pushed_down_mixed']} "
        f"of them in mixed groups</li><li>groups without signal: {order['no_signal']} of {order['groups']}</li></ul>"
        + _examples(order["examples"])
    )


def _flips(flips: dict[str, Any]) -> str:
    kinds, push = flips["kinds"], " against ".join(map(short, flips["push"]))
    return (
        f"<ul><li>flipped: {flips['flipped']} of {flips['pairs']} ordered pairs, in {flips['groups']} groups: "
        f"{kinds['mixed']} a right with a wrong reply, {kinds['right']} two right ones, "
        f"{kinds['wrong']} two wrong ones</li>"
        f"<li>ordered by only one of them: {flips['tied']} pairs</li>"
        f"<li>pushed up by one and down by the other: {flips['signs']} replies</li>"
        f"<li>correlation of A {short(flips['correlation'])}; mean |A| {push}</li></ul>" + _examples(flips["examples"])
    )


_MARKS = {True: "<b class=good>✓</b>", False: "<b class=bad>✗</b>"}


def _examples(examples: list[dict[str, Any]]) -> str:
    cards = ""
    for e in examples:
        names = list(e["replies"][0]["components"])
        twice = "A_against" in e["replies"][0]
        head = "".join(
            f"<th class=num>{escape(n)}</th>" for n in ["A", *(["against"] if twice else []), "tokens", *names]
        )
        rows = "".join(
            f"<tr><td>{_MARKS[r['right']]} {escape(r['text'])}</td>"
            + "".join(
                f"<td class=num>{short(v)}</td>"
                for v in [r["A"], *([r["A_against"]] if twice else []), r["tokens"], *r["components"].values()]
            )
            + "</tr>"
            for r in e["replies"]
        )
        cards += (
            f"<div class=example><div class=question><p>{escape(e['prompt'])}<br><b>{escape(e['target'])}</b><br>"
            f"<small>step {e['step']} · {escape(e['group'])}</small></p></div><div class=scroll>"
            f'<table class="replies group"><thead><tr><th>reply</th>{head}</tr></thead>{rows}</table></div></div>'
        )
    return f'<div class="examples wide">{cards}</div>' if cards else ""


def _exchange(exchange: dict[str, Any]) -> str:
    told = "".join(f"<li>{escape(line)}</li>" for line in rates(exchange))
    rows = [
        [
            band(b),
            str(b["groups"]),
            interval(b),
        ]
        for b in exchange["end"]["bands"]
    ]
    bands = table(["right in the group", "groups", "tokens per point, last step's weights"], rows) if rows else ""
    return f"<ul>{told}</ul>{bands}"


def _parameters(rows: list[dict[str, Any]]) -> str:
    cells = [
        [
            f"<code>{escape(r['path'])}</code>{' <small>default</small>' if r['default'] else ''}",
            short(r["value"]),
            ", ".join(short(v) for v in r["tried"]) or "–",
            "<b class=warn>0</b>" if r["dead"] else short(r["max_change"]),
            "–" if r["moved"] is None else percent(r["moved"], 1),
            str(r["replies"]),
            escape(r["why"]),
        ]
        for r in rows
    ]
    head = ["parameter", "value", "tried", "largest |ΔA|", "replies moved", "of", "why"]
    return table(head, cells, numeric=range(1, 6))
