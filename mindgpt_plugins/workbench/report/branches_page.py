"""Branches of the label tree as charts and as a tree to unfold: which fell, which rose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from mindgpt_plugins.web.charts import Dot, draw_changes, draw_places, draw_share
from mindgpt_plugins.web.numbers import format_points

DOTS = 16
"""Branches in a chart: the ones that changed most, down and up."""
ROWS = 400
"""Branches of an axis in the page; more are in report.json."""
LONGEST = 20
"""Characters of a name beside a chart."""
TONES = {"fell": "bad", "rose": "good", "unclear": "quiet"}

Branch = dict[str, Any]
Path = tuple[str, ...]


def draw_branches(found: dict[str, Any] | None) -> dict[str, Any] | None:
    """What the template shows of figures of branches.

    Args:
        found: of the run's own set or of its benchmarks, see :mod:`mindgpt_plugins.workbench.report.branches`.

    Returns:
        ``courses``: charts; ``models``, each with its ``trees``; ``compared``: comparisons with ``charts``, ``trees``,
        the model they are ``of`` and counts by verdict; ``changes``: (model, part) → change.
    """
    if found is None:
        return None
    alone = not found["compared"]  # else each tree is drawn once, with what changed
    models = {m["model"]: {"never_asked": {}} | m | {"trees": _trees(m, []) if alone else []} for m in found["models"]}
    return {
        "tones": TONES,
        "courses": _courses(found["models"]),
        "models": list(models.values()),
        "compared": [_comparison(compared, models[compared["model"]]) for compared in found["compared"]],
        "changes": {(c["model"], t["part"]): t for c in found["compared"] for t in c["totals"]},
    }


def _courses(models: Sequence[dict[str, Any]]) -> list[Markup]:
    """The level-1 branches of each part and axis over all models."""
    found: dict[tuple[str, str], dict[str, list[Dot | None]]] = {}
    for i, model in enumerate(models):
        for part in model["parts"]:
            for b in part["branches"]:
                if b["level"] == 1:
                    lines = found.setdefault((part["part"], b["axis"]), {})
                    name, bounds = b["path"][0], f"{format_points(b['low'])} to {format_points(b['high'])}"
                    tip = f"{name}, {model['model']}: {format_points(b['accuracy'])} % ({bounds}), n = {b['n']}"
                    dot = Dot(100 * b["accuracy"], tip, 100 * b["low"], 100 * b["high"])
                    lines.setdefault(name, [None] * len(models))[i] = dot
    names = [str(model["model"]) for model in models]
    note = "accuracy in %, 95 % intervals"
    return [draw_places(f"{part} · {axis}", names, own, top=100, note=note) for (part, axis), own in found.items()]


def _comparison(compared: dict[str, Any], model: dict[str, Any]) -> dict[str, Any]:
    rows = compared["branches"]
    charts = [_chart(part, axis, _own(rows, part, axis)) for part, axis in _axes(model)]
    counts = {verdict: sum(r["verdict"] == verdict for r in rows) for verdict in TONES}
    return compared | counts | {"of": model, "tones": TONES, "charts": charts, "trees": _trees(model, rows)}


def _axes(model: dict[str, Any]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((part["part"], b["axis"]) for part in model["parts"] for b in part["branches"]))


def _own(rows: Sequence[Branch], part: str, axis: str) -> list[Branch]:
    return [r for r in rows if (r["part"], r["axis"]) == (part, axis)]


def _chart(part: str, axis: str, rows: Sequence[Branch]) -> Markup:
    """The finest branches, sorted from the deepest fall to the highest rise."""
    parents = {tuple(r["path"][:-1]) for r in rows}
    leaves = sorted((r for r in rows if tuple(r["path"]) not in parents), key=lambda r: (r["change"], r["path"]))
    note = f"{len(leaves)} finest branches, change in points"
    if len(leaves) > DOTS:
        note = f"the {DOTS // 2} lowest and {DOTS // 2} highest changes of {len(leaves)}, in points"
        leaves = leaves[: DOTS // 2] + leaves[-DOTS // 2 :]
    dots = [Dot(r["change"], _change(r), r["low"], r["high"], _short(r["path"]), TONES[r["verdict"]]) for r in leaves]
    return draw_changes(f"{part} · {axis}", dots, note=note)


def _short(path: Sequence[str]) -> str:
    """The last elements of a path that fit."""
    text = path[-1]
    for part in reversed(path[:-1]):
        if len(part) + 1 + len(text) > LONGEST:
            break
        text = f"{part}.{text}"
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _trees(model: dict[str, Any], rows: Sequence[Branch]) -> list[dict[str, Any]]:
    """Per part and axis the largest branches as nodes in nodes, beside what changed."""
    made = []
    parts = {part["part"]: part for part in model["parts"]}
    for name, axis in _axes(model):
        shown = [b for b in parts[name]["branches"] if b["axis"] == axis]
        total = parts[name]["n"]
        unlabelled = total - sum(b["n"] for b in shown if b["level"] == 1)
        told = [f"{len(shown)} branches", f"{total} items"]
        told += [f"{unlabelled} without a label"] if unlabelled else []
        told += [f"the {ROWS} largest are shown"] if len(shown) > ROWS else []
        nodes = {tuple(b["path"]): b for b in sorted(shown, key=lambda b: -b["n"])[:ROWS]}
        compared = {tuple(r["path"]): r for r in _own(rows, name, axis)}
        below = _nodes((), nodes, compared)
        made.append({"part": name, "axis": axis, "told": told, "compared": bool(compared), "nodes": below})
    return made


def _nodes(path: Path, nodes: Mapping[Path, Branch], compared: Mapping[Path, Branch]) -> list[dict[str, Any]]:
    """The branches right below one, the deepest fall first, then the weakest."""

    def weakest(p: Path) -> tuple[float, float]:
        return (compared[p]["change"] if p in compared else 0.0, nodes[p]["accuracy"])

    made = []
    for p in sorted((p for p in nodes if len(p) == len(path) + 1 and p[:-1] == path), key=weakest):
        now, change = nodes[p], compared.get(p)
        fell = any(r["verdict"] == "fell" for q, r in compared.items() if q[: len(p)] == p and q != p)
        tone = TONES[change["verdict"]] if change else "quiet"
        dot = Dot(now["accuracy"], "", now["low"], now["high"])
        made.append(
            {
                "now": now,
                "change": change,
                "tone": tone,
                "tip": f"{_change(change)}. Now: {_accuracy(now)}" if change else _accuracy(now),
                "drawn": draw_share(dot, tone, change["before"] if change else None, now["blank_accuracy"]),
                "is_open": fell or len(p) == 1,
                "below": _nodes(p, nodes, compared),
            }
        )
    return made


def _change(row: Branch) -> str:
    """What hovering over a difference says."""
    bounds = f"{format_points(row['low'], sign=True)} to {format_points(row['high'], sign=True)}"
    return (
        f"{'.'.join(row['path'])}: {format_points(row['before'])} → {format_points(row['after'])} %, "
        f"{format_points(row['change'], sign=True)} points (95 %: {bounds}); "
        f"{row['n']} items, {row['lost']} lost, {row['won']} won; p = {row['p']:.2g}, after Holm {row['p_holm']:.2g}"
    )


def _accuracy(now: Branch) -> str:
    """What hovering over a branch says of the model's own figures."""
    bounds = f"95 % interval {format_points(now['low'])} to {format_points(now['high'])}"
    unparsed = "" if now["parsed"] == 1 else f"; {format_points(1 - now['parsed'])} % of the replies state no answer"
    return f"{now['correct']} of {now['n']} right, {bounds}{unparsed}"
