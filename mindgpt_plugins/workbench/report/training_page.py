"""Sections about the stages themselves: time and memory, curves, data."""

from __future__ import annotations

from html import escape
from typing import Any

from mindgpt_plugins.workbench.report import svg
from mindgpt_plugins.workbench.report.html import seconds, table

_TONES = {"done": "good", "reused": "good", "failed": "bad"}


def stages(data: dict[str, Any]) -> str:
    """Every stage with its state, time and peak memory."""
    total = sum(s["seconds"] for s in data["stages"])
    bar = "".join(
        f'<span title="{escape(s["name"])}: {seconds(s["seconds"])}" style="flex:{s["seconds"]:.1f};'
        f'background:var(--c{i % svg.COLOURS})"></span>'
        for i, s in enumerate(data["stages"])
        if s["seconds"]
    )
    rows = [
        [
            f'<i style="background:var(--c{i % svg.COLOURS})" class=dot></i>{escape(s["name"])}',
            f'<span class="{_TONES.get(s["status"], "warn")}">{escape(s["status"])}</span>',
            seconds(s["seconds"]) if s["seconds"] else "–",
            f"{s['peak_rss_bytes'] / 1e9:.2f} GB" if s["peak_rss_bytes"] else "–",
            escape(s["kind"]),
            escape(", ".join(s["inputs"])) or "–",
        ]
        for i, s in enumerate(data["stages"])
    ]
    peak = max((s["peak_rss_bytes"] for s in data["stages"]), default=0)
    return (
        f"<h2>Stages</h2><p class=soft>{seconds(total)} in all, reused stages counted with the time they took; "
        f"peak memory {peak / 1e9:.2f} GB.</p><div class=dist>{bar}</div>"
        + table(["stage", "state", "time", "peak memory", "kind", "made from"], rows, numeric=range(2, 4))
    )


def curves(data: dict[str, Any]) -> str:
    """Curves of every training stage; secondary ones folded."""
    shared: dict[str, list[dict[str, Any]]] = {}
    for t in data["training"]:
        if not t["alone"]:
            shared.setdefault(t["heading"], []).append(t)
    text = "".join(_charts(stages, heading, prefix=True) for heading, stages in shared.items())
    for t in data["training"]:
        if t["alone"]:
            text += _charts([t], f"{t['stage']}: {t['heading']}", prefix=False)
    return f"<h2>Training</h2>{text}" if text else ""


def _charts(stages: list[dict[str, Any]], title: str, *, prefix: bool) -> str:
    """The charts of some stages in one grid; ``prefix`` puts the stage's name before each title."""
    shown, folded = "", ""
    for t in stages:
        for c in t["charts"]:
            chart = svg.line_chart(f"{t['stage']}: {c['title']}" if prefix else c["title"], c["lines"])
            if c["main"]:
                shown += chart
            else:
                folded += chart
    state = escape(", ".join(f"{t['stage']} {t['steps'] or 'no'} steps" for t in stages))
    more = f"<details><summary>More charts</summary><div class=charts>{folded}</div></details>" if folded else ""
    return f"<h3>{escape(title)} <small>{state}</small></h3><div class=charts>{shown}</div>{more}"


def data(data: dict[str, Any]) -> str:
    """What the data and self-training stages made and dropped."""
    text = "".join(_data_stage(d["stage"], d["report"]) for d in data["data"])
    text += "".join(map(_corpus, data["corpora"]))
    text += "".join(
        _pairs(s["stage"], s["summary"]) if "pairs" in s["summary"] else _rejection(s["stage"], s["summary"])
        for s in data["self_training"]
    )
    return f"<h2>Data</h2>{text}" if text else ""


def _corpus(corpus: dict[str, Any]) -> str:
    rows = [
        [escape(str(s.get("step", ""))), escape(", ".join(f"{k} {v}" for k, v in s.items() if k not in ("step",)))]
        for s in corpus["steps"]
    ]
    link = f"<p><a href='{escape(corpus['page'], quote=True)}'>its own page</a>: label tree, density, funnel, cost</p>"
    return f"<h3>{escape(corpus['stage'])}</h3>{link}{table(['step', 'result'], rows, numeric=range(0))}"


def _data_stage(name: str, report: dict[str, Any]) -> str:
    sets = [
        [escape(key), escape(str(s["split"])), str(s["images"]), str(s["items"]), _dropped(s["funnel"])]
        for key, s in report["sets"].items()
    ]
    trees = [
        [
            dimension,
            f"{round(t['covered'] * t['leaves'])} of {t['leaves']}",
            f"{100 * t['covered']:.0f} %",
            f"{t['entropy']:.3f}" if t.get("entropy") is not None else "–",
        ]
        for dimension, t in report["tree"].items()
    ]
    charts = ""
    for key, s in report["sets"].items():
        charts += svg.histogram(
            f"{key}: information density",
            s["ids_histogram"],
            s["budget_by_ids"],
            note="bars: images; dots: QA per image",
        )
    leaves = "".join(
        svg.bars(f"{key}: items by capability", dict(sorted(s["capability"].items(), key=lambda kv: -kv[1])))
        for key, s in report["sets"].items()
    )
    head = ["set", "split", "images", "items", "dropped on the way"]
    return (
        f"<h3>{escape(name)}</h3>{table(head, sets, numeric=range(2, 9))}<h3>Label tree, training sets</h3>"
        f"{table(['dimension', 'leaves covered', 'share', 'normalised entropy'], trees)}"
        f"<details open><summary>Information density and budget</summary><div class=charts>{charts}</div></details>"
        f"<details><summary>Items by capability</summary><div class=charts>{leaves}</div></details>"
        + "".join(_funnel(key, s["funnel"]) for key, s in report["sets"].items())
    )


def _dropped(funnel: dict[str, Any]) -> str:
    count = sum(d["count"] for d in funnel["dropped"])
    return f"{count}" if count else "0"


def _funnel(name: str, funnel: dict[str, Any]) -> str:
    passed = " → ".join(f"{escape(step)} {count}" for step, count in funnel["passed"].items())
    rows = [
        [
            escape(d["gate"]),
            escape(d["reason"]),
            str(d["count"]),
            f"<small>{escape('; '.join(d['examples'][:2]))}</small>",
        ]
        for d in funnel["dropped"]
    ]
    body = (
        table(["gate", "reason", "count", "examples"], rows, numeric=range(2, 3))
        if rows
        else "<p class=soft>Nothing dropped.</p>"
    )
    return f"<details><summary>{escape(name)}: gates</summary><p class=soft>{passed}</p>{body}</details>"


def _rejection(name: str, s: dict[str, Any]) -> str:
    after = s["solve_rate"]["after"]
    rates = f"solve rate {100 * s['solve_rate']['before']:.1f} %" + (
        f" before, {100 * after:.1f} % after tuning" if after is not None else ""
    )
    replay = ", ".join(
        f"{escape(r['data'])} {r['rows']} rows" + (f" ({r['repeated']} repeated)" if r["repeated"] else "")
        for r in s["replay"]
    )
    rows = [[escape(c), f"{100 * share:.1f} %", str(s["drawn"].get(c, 0))] for c, share in s["acceptance"].items()]
    dropped = "; ".join(f"{escape(reason)} {count}" for reason, count in s["dropped"].items())
    facts = [
        f"{s['rows']} rows: {s['own']} own right answers to {s['accepted']} of {s['prompts']} prompts",
        f"replay: {replay or 'none'}",
        rates,
        f"dropped: {dropped}",
        f"repeated answers: {s['repeated']}",
    ]
    title = f"<h3>{escape(name)} <small>rejection sampling</small></h3>"
    head = ["capability", "prompts answered right", "rows drawn"]
    return f"{title}<p class=soft>{'; '.join(facts)}.</p>{table(head, rows)}"


def _pairs(name: str, s: dict[str, Any]) -> str:
    rows = [
        [escape(kind), str(k["wanted"]), str(k["candidates"]), str(k["taken"]), str(k["missing"] or "–")]
        for kind, k in s["kinds"].items()
    ]
    dropped = "; ".join(f"{escape(reason)} {count}" for reason, count in s["dropped"].items())
    short = f' <b class="warn">{s["short"]} fewer than wanted.</b>' if s["short"] else ""
    return (
        f"<h3>{escape(name)} <small>preference pairs</small></h3><p class=soft>{s['pairs']} pairs from {s['prompts']} "
        f"prompts.{short} Prompts without a pair: {dropped}.</p>"
        + table(["kind", "wanted", "could be formed", "taken", "missing"], rows)
    )
