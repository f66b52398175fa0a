"""Sections about the corpus: overview, density, budget and cost."""

from __future__ import annotations

from html import escape
from typing import Any

from mindgpt_data.report import charts
from mindgpt_data.report.text import MISSING, count, missing, percent, scroll, seconds, table, tiles
from mindgpt_data.report.thumbs import Thumbs
from mindgpt_data.schema.rows import SUB_SCORES

PLACES = {0.0: "lowest", 0.5: "median", 1.0: "highest"}
ALLOCATORS = ("density", "uniform", "random")


def overview(data: dict[str, Any]) -> str:
    """Headline figures, the funnel in one line, and the steps."""
    found = data["overview"]
    by_name = dict(found["funnel"])
    sources = found["sources"]
    cost = data["costs"]
    trees = data["trees"]["knowledge"]["coverage"]
    entries = [
        ("Pictures", count(by_name["pictures"]), f"{count(len(sources))} source(s)" if sources else ""),
        ("Items kept", count(by_name["items kept"]), _of(by_name["items kept"], by_name["items generated"])),
        (
            "Knowledge topics covered",
            percent(trees["covered"]) if by_name["items kept"] is not None else MISSING,
            f"of {count(trees['leaves'])}",
        ),
        (
            "Guessing baseline",
            percent(data["items"]["guessing"]) if data["items"] else MISSING,
            "right by always giving the most common answer",
        ),
    ]
    if cost["rows"]:
        kept = by_name["items kept"]
        each = f"{cost['cost'] / kept:.4f} per kept item" if kept and cost["cost"] else "no prices were configured"
        entries.append(("Model cost", f"{cost['cost']:,.2f}" if cost["cost"] else MISSING, each))
    line = " → ".join(f"<b>{count(n)}</b> {escape(label)}" for label, n in found["funnel"])
    rows = [
        [
            f"<code>mindgpt data {s['step']}</code>",
            _state(s),
            seconds(s["seconds"]) if s["seconds"] is not None else MISSING,
            count(s["dropped"]) if s["started"] else MISSING,
        ]
        for s in found["steps"]
    ]
    steps = table(["step", "state", "time", "left out"], rows, numeric=range(2, 4))
    sets = " · ".join(
        f"<code>{escape(name)}</code> {count(s['items'])} items, {count(s['images'])} pictures"
        for name, s in found["sets"].items()
    )
    exported = f"<p>Sets for the trainers: {sets}</p>" if sets else ""
    return f"{tiles(entries)}<p class=flow>{line}</p>{exported}<h3>Steps</h3>{steps}"


def _of(part: int | None, whole: int | None) -> str:
    return f"{percent(part, whole)} of {count(whole)} generated" if part is not None and whole else ""


def _state(step: dict[str, Any]) -> str:
    if step["done"]:
        return '<span class="good">done</span>'
    return '<span class="warn">not finished</span>' if step["started"] else '<span class="soft">not run yet</span>'


def density(data: dict[str, Any], thumbs: Thumbs) -> str:
    """Histograms of IDS and its sub-scores by source, and the pictures at each decile."""
    found = data["density"]
    body = "<h2>Information density</h2>"
    if found is None:
        return body + missing("density", "scores how much there is to ask about each picture")
    made = []
    for name in ("ids", *SUB_SCORES):
        h = found["histograms"][name]
        label = "IDS (all four together)" if name == "ids" else name
        unit = "IDS, 0 to 1" if name == "ids" else "score, 0 to 5"
        note = f"median {found['quantiles'][name][5]:.2f}"
        made.append(charts.histogram(label, h["counts"], h["low"], h["high"], x=unit, y="pictures", note=note))
    cells = []
    for decile in found["deciles"]:
        pictures = "".join(thumbs.show(i["image"], _scores(i)) for i in decile["images"])
        label = PLACES.get(decile["quantile"], f"{100 * decile['quantile']:.0f} %")
        cells.append(f"<div class=decile><b>{label}</b><small>IDS {decile['ids']:.2f}</small>{pictures}</div>")
    charted, strip = "".join(made), scroll(f"<div class=deciles>{''.join(cells)}</div>")
    return (
        body
        + f"<p>How much there is to ask about each of {count(found['images'])} pictures.</p>"
        + f'<div class="charts few">{charted}</div><h3>Pictures at each decile of IDS</h3>'
        "<p class=soft>Denser to the right. If this order looks wrong to you, the estimator is wrong for your pictures."
        f"</p>{strip}"
    )


def _scores(scores: dict[str, Any]) -> str:
    parts = " · ".join(f"{name} {scores[name]:.1f}" for name in SUB_SCORES)
    return f"{scores['image']}\nIDS {scores['ids']:.2f} = {parts}"


def budget(data: dict[str, Any]) -> str:
    """Items over the deciles of IDS, planned and spent, beside the three allocators."""
    found = data["budget"]
    body = "<h2>Budget</h2>"
    if found is None:
        return body + missing("budget", "decides how many items each picture gets (it needs density first)")
    groups = found["groups"]
    at = [f"{g['ids']:.2f}" for g in groups]

    def each(key: str) -> list[float | None]:
        return [None if g.get(key) is None else g[key] / g["images"] for g in groups]

    x = "mean IDS of each tenth of the pictures"
    spent = {k: each(k) for k in ("planned", "generated", "kept") if any(v is not None for v in each(k))}
    beside = {k: each(k) for k in ALLOCATORS if any(v is not None for v in each(k))}
    made = [
        charts.lines("Planned and spent", at, spent, x=x, y="items per picture"),
        charts.lines(
            "Allocators at the same total",
            at,
            beside,
            x=x,
            y="items per picture",
            note=f"{count(found['planned'])} items",
        ),
        _families(found["families"]),
    ]
    charted = "".join(made)
    figures = [
        [
            f"{g['ids']:.2f}",
            count(g["images"]),
            count(g["planned"]),
            count(g.get("generated")),
            count(g.get("kept")),
            percent(g.get("kept"), g.get("generated")),
            *(count(g.get(k)) for k in ALLOCATORS),
        ]
        for g in groups
    ]
    head = [
        "mean IDS",
        "pictures",
        "planned",
        "generated",
        "kept",
        "kept of generated",
        *(f"{k} gives" for k in ALLOCATORS),
    ]
    note = f'<ul class="notes"><li>{escape(found["note"])}</li></ul>' if found["note"] else ""
    bounds = found["bounds"]
    return (
        body
        + f"<p>{count(found['planned'])} items planned for {count(found['images'])} pictures, {bounds['n_min']} to "
        f"{bounds['n_max']} each. When dense pictures keep a smaller share of what is generated than sparse ones, the "
        "teacher repeats itself there: lower <code>budget.n_max</code> or <code>budget.gamma</code>.</p>"
        + note
        + f'<div class="charts few">{charted}</div>'
        + f"<details><summary>Figures</summary>{table(head, figures, numeric=range(0, 99))}</details>"
    )


def _families(families: dict[str, int]) -> str:
    whole = sum(families.values())
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td><span class=bar style='width:{100 * n / max(whole, 1):.1f}%'></span></td>"
        f"<td class=num>{count(n)}</td><td class=num>{percent(n, whole)}</td></tr>"
        for name, n in families.items()
    )
    return (
        "<figure class=chart><figcaption>Planned items by density dimension</figcaption>"
        f"<table class=bars>{rows}</table></figure>"
    )


def costs(data: dict[str, Any]) -> str:
    """Requests, tokens and cost by step and model."""
    found = data["costs"]
    body = "<h2>Model cost</h2>"
    if not found["rows"]:
        return body + "<p class=soft>No model was asked: nothing in <code>store.sqlite</code>.</p>"
    rows = [
        [
            escape(r["step"]),
            escape(r["model"]),
            count(r["done"]),
            count(r["failed"]) if r["failed"] else MISSING,
            count(r["attempts"]),
            count(r["prompt_tokens"]),
            count(r["completion_tokens"]),
            f"{r['cost']:,.4f}" if r["cost"] else MISSING,
        ]
        for r in found["rows"]
    ]
    head = ["step", "model", "answers", "failed", "attempts", "prompt tokens", "completion tokens", "cost"]
    note = (
        "" if found["cost"] else " No endpoint has <code>price_in</code> and <code>price_out</code>, so cost is empty."
    )
    return (
        body
        + f"<p>Cost is in the unit of the endpoints' prices; tokens as the servers counted them.{note}</p>"
        + table(head, rows, numeric=range(2, 99))
    )
