"""Sections about what the models can do."""

from __future__ import annotations

from html import escape
from typing import Any

from mindgpt_plugins.workbench.report import abilities, svg
from mindgpt_plugins.workbench.report.html import MISSING, breakable, figure, points, table, tone


def headline(data: dict[str, Any]) -> str:
    """Tiles: domain gain, retention, gate, what RL changed."""
    h = data["headline"]
    where = f"on {escape(data['held_out_set'])}" if data["held_out_set"] else ""
    tiles = []
    d = h["domain"]
    tiles.append(
        _tile(
            "Domain gain",
            figure("headline.domain.gain", d and d["gain"], sign=True, unit=" points"),
            f"{figure('headline.domain.before', d['before'])} → {figure('headline.domain.after', d['after'])} % "
            f"{where}, {escape(h['base'])} → {escape(h['final'])}"
            if d
            else "needs evaluations of two models",
            None if not d else d["gain"] > 0,
        )
    )
    kept = h["retention"]
    tiles.append(
        _tile(
            "General ability kept",
            figure("headline.retention", kept, unit=" %"),
            f"lowest on the way: {figure('headline.worst_retention', h['worst_retention'])} %"
            if kept is not None
            else "needs evaluations of two models",
            None,
        )
    )
    gates = h["gates"]
    if gates:
        passed = [g["passed"] for g in gates]
        text = "passed" if all(passed) else f"{sum(passed)} of {len(passed)} passed"
        detail = ", ".join(
            f"{escape(g['model'])} {_verdict(g)}" + (f" (fell: {escape(', '.join(g['fell']))})" if g["fell"] else "")
            for g in gates
        )
        undecided = any(g["verdict"] == "undecided" for g in gates) and not any(g["verdict"] == "failed" for g in gates)
        tiles.append(_tile("Forgetting gate", text, detail, None if undecided else all(passed)))
    else:
        tiles.append(_tile("Forgetting gate", MISSING, "no evaluation with a gate has finished", None))
    tiles.append(_rl_tile(h["rl"], where))
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _rl_tile(rl: dict[str, Any] | None, where: str) -> str:
    if rl is None:
        return _tile("RL", MISSING, "no finished RL stage", None)
    lines = []
    if rl["pass_at"]:
        p = rl["pass_at"]
        lines.append(f"pass@{p['k']} {figure('headline.rl.pass_at.change', p['change'], sign=True)} points {where}")
    if rl["reward"]:
        r = rl["reward"]
        lines.append(f"training score {svg.number(r['before'])} → {svg.number(r['after'])}")
    a = rl["accuracy"]
    if not a:
        return _tile("RL", MISSING, "; ".join([*lines, "evaluate both ends to see its effect"]), None)
    return _tile(
        "RL, accuracy",
        figure("headline.rl.accuracy.change", a["change"], sign=True, unit=" points"),
        "<br>".join(lines),
        a["change"] > 0,
    )


def _tile(title: str, value: str, detail: str, good: bool | None) -> str:
    cls = "" if good is None else f' class="{tone(good)}"'
    return f'<div class="tile"><span>{title}</span><b{cls}>{value}</b><small>{detail}</small></div>'


def matrix(data: dict[str, Any]) -> str:
    """Accuracy of every model on every task, with n and interval."""
    m = data["matrix"]
    if not m["rows"] and data["benchmarks"]:
        return ""
    if not m["rows"]:
        return "<h2>Accuracy</h2><p class=soft>No evaluation has finished yet.</p>"
    head = "".join(
        f"<th{_edge(c)}>{breakable(_column(c))}{'<br><small>all</small>' if c['capability'] == 'all' else ''}</th>"
        for c in m["columns"]
    )
    body = ""
    for row in m["rows"]:
        cells = "".join(
            f"<td{_edge(column)}>{MISSING}</td>" if c is None else _cell(c, column)
            for c, column in zip(row["cells"], m["columns"], strict=True)
        )
        body += f"<tr><th>{escape(row['model'])}</th>{cells}</tr>"
    return (
        f"<h2>Accuracy on <code>{escape(str(m['set']))}</code>, in %</h2>"
        "<p class=soft>Greedy replies. Each cell: accuracy, half-width of its 95 % interval (Wilson), number of items. "
        "Hover for reply length and the blank-image control.</p>"
        f"<div class=scroll><table class=matrix><thead><tr><th>model</th>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>{_blank(m)}"
    )


def _cell(c: dict[str, Any], column: dict[str, Any]) -> str:
    half = 100 * (c["high"] - c["low"]) / 2
    tip = f"{c['correct']} of {c['n']} right; 95 % interval {points(c['low'])}–{points(c['high'])}"
    if c["tokens"] is not None:
        tip += f"; {c['tokens']:.1f} tokens; {100 * c['parsed']:.0f} % state an answer"
    if c["blank_accuracy"] is not None:
        tip += f"; image blanked {points(c['blank_accuracy'])}, the same rows with it {points(c['sighted_accuracy'])}"
    return (
        f'<td{_edge(column)} style="--a:{c["accuracy"]:.2f}" title="{escape(tip)}"><b>{points(c["accuracy"])}</b>'
        f"<small>±{half:.1f} · {c['n']}</small></td>"
    )


def _column(column: dict[str, Any]) -> str:
    """A roll-up carries its source's name."""
    return str(column["source"] if column["capability"] == "all" else column["capability"])


def _edge(column: dict[str, Any]) -> str:
    return ' class="sum"' if column["capability"] == "all" else ""


def _blank(m: dict[str, Any]) -> str:
    """The blank-image control of every model, per source."""
    rollups = [i for i, c in enumerate(m["columns"]) if c["capability"] == "all"]
    rows = []
    for row in m["rows"]:
        found = [row["cells"][i] for i in rollups]
        if any(c and c["blank_accuracy"] is not None for c in found):
            shown = [
                MISSING if not c else f"{points(c['sighted_accuracy'])} / {points(c['blank_accuracy'])}" for c in found
            ]
            length = [MISSING if not c or c["tokens"] is None else f"{c['tokens']:.1f}" for c in found]
            rows.append([escape(row["model"]), *shown, *length])
    if not rows:
        return ""
    sources = [escape(m["columns"][i]["source"]) for i in rollups]
    head = ["model", *[f"{s}: with / without image" for s in sources], *[f"{s}: tokens" for s in sources]]
    return (
        "<details><summary>Does it look? With and without the image, and reply length</summary>"
        "<p class=soft>Accuracy in % on the rows that were also asked with a blank image.</p>"
        f"{table(head, rows)}</details>"
    )


def retention(data: dict[str, Any]) -> str:
    """Retention, domain gain and gates per model."""
    rows = data["retention"]
    if len(rows) < 2:
        return ""
    body = []
    for r in rows:
        worst = min(r["groups"].items(), key=lambda item: item[1], default=None)
        gate = r["gate"]
        verdict = MISSING if gate is None else _verdict(gate)
        body.append(
            [
                escape(r["model"]),
                points(r["general"]),
                MISSING if r["retention"] is None else f"{points(r['retention'])} %",
                MISSING if worst is None else f"{escape(worst[0])} {points(worst[1])} %",
                points(r["domain"]),
                points(r["domain_gain"], sign=True),
                verdict,
            ]
        )
    head = ["model", "general, %", "kept", "least kept", "domain, %", "domain gain", "gate"]
    return (
        "<h2>What was learnt, what was forgotten</h2>"
        f"<p class=soft>Kept: mean over general tasks of accuracy divided by {escape(rows[0]['model'])}'s, "
        f"on <code>{escape(str(data['held_out_set']))}</code>. Gains in points.</p>{table(head, body)}{gates(rows)}"
    )


_TONES = {"passed": "good", "failed": "bad", "undecided": "warn"}


def _verdict(judged: dict[str, Any]) -> str:
    word = abilities.verdict(judged)
    return f'<b class="{_TONES[word]}">{word}</b>'


def gates(rows: list[dict[str, Any]]) -> str:
    """Every gate with its groups; rows have ``model`` and ``gate``, which may be null."""
    text = ""
    for r in rows:
        gate = r["gate"]
        if gate is None:
            continue
        body = [
            [
                escape(g["group"]),
                str(g["n"]),
                points(g["before"]),
                points(g["after"]),
                points(g["change"], sign=True),
                points(g["low"], sign=True),
                _verdict(g) + (f" (needs {g['needed']} items)" if abilities.verdict(g) == "undecided" else ""),
            ]
            for g in gate["groups"]
        ]
        d = gate["domain"]
        kept = (
            f" Domain gain kept: <b class={tone(d['passed'])}>{points(d['kept'])} %</b> "
            f"(at least {points(gate['keep_gain'])} %)."
            if "kept" in d
            else ""
        )
        head = ["group", "items", "before", "after", "change", "lower bound", ""]
        text += (
            f"<details{'' if gate['passed'] else ' open'}><summary>Gate of {escape(r['model'])} on "
            f"<code>{escape(str(gate['set']))}</code></summary><p class=soft>Paired on the same items: the lower 95 % "
            f"bootstrap bound of each change must stay above {points(-gate['margin'], sign=True)} points; a group with "
            f"too few items for that is undecided.{kept}</p>"
            f"{table(head, body)}</details>"
        )
    return text


def interpolations(data: dict[str, Any]) -> str:
    """Candidates of every interpolation whose alpha was chosen on a dev set."""
    text = ""
    for found in data["interpolations"]:
        body = [
            [
                f"<b>{c['alpha']:g}</b>" if c["alpha"] == found["alpha"] else f"{c['alpha']:g}",
                points(c["domain"]),
                points(c["general"]),
                MISSING if c["retention"] is None else f"{points(c['retention'])} %",
                f'<b class="bad">{escape(", ".join(c["fell"]))}</b>' if c["fell"] else MISSING,
            ]
            for c in found["candidates"]
        ]
        head = ["a", "domain, %", "general, %", "kept", "groups that fell"]
        text += f"<h3>{escape(found['stage'])}: a = {found['alpha']:g}</h3>{table(head, body)}"
    return f"<h2>Interpolation</h2><p class=soft>θ0 + a(θ1 − θ0), judged on dev.</p>{text}" if text else ""


def pass_at(data: dict[str, Any]) -> str:
    """pass@k curves per source, one line per model."""
    charts = ""
    for source in dict.fromkeys(row["source"] for row in data["pass_at"]):
        lines = {
            row["model"]: [[float(k), 100 * v] for k, v in sorted(row["values"].items(), key=lambda kv: int(kv[0]))]
            for row in data["pass_at"]
            if row["source"] == source
        }
        n = next(row["rows"] for row in data["pass_at"] if row["source"] == source)
        charts += svg.line_chart(f"{source}: pass@k in %", lines, log2=True, note=f"over k, {n} items sampled")
    return f"<h2>pass@k</h2><div class=charts>{charts}</div>" if charts else ""
