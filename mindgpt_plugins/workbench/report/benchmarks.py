"""Figures of ``benchmark`` stages: every model on every public benchmark, and what changed since the first model."""

from __future__ import annotations

from typing import Any

from mindgpt_plugins.workbench.report import branches
from mindgpt_plugins.workbench.report.run import ReportedRun

ALL = "all"
_SHOWN = ("n", "correct", "accuracy", "low", "high", "tokens", "parsed", "blank_accuracy", "sighted_accuracy")


def collect_benchmark_figures(run: ReportedRun, notes: list[str]) -> dict[str, Any] | None:
    """Scores of every finished ``benchmark`` stage; several of one model are put together.

    Returns:
        ``benchmarks`` (names in order), ``models`` (model, stage, items, unparsed, ``scores``: benchmark → the figures
        of a cell plus ``cut_off`` replies or null, ``parts``: per benchmark its categories as branches), ``compared``
        (later models with the first one, every benchmark a part) and ``gates`` (model, stage, gate). None without any.
    """
    read: dict[str, dict[str, Any]] = {}
    for stage, scores in run.entries("benchmarks"):
        if scores is None:
            if stage.finished:
                notes.append(f"benchmark stage {stage.name} is {stage.status}, but its scores.json is gone")
            continue
        own = read.setdefault(
            scores["model"], {"model": scores["model"], "stage": stage.name, "scores": {}, "lines": {}, "gates": []}
        )
        for name in scores["sets"]:
            if name in own["scores"]:
                notes.append(f"model {scores['model']} took {name} twice; the figures are those of {stage.name}")
            own["scores"][name] = _cell(scores, name)
            own["lines"][name] = []
        for p in stage.lines("predictions.jsonl"):
            own["lines"][p["set"]].append({**p, "source": p["set"]})  # a benchmark is a part of its own
        if scores.get("gate"):
            own["gates"].append({"model": scores["model"], "stage": stage.name, "gate": scores["gate"]})
    if not read:
        return None
    names = list(dict.fromkeys(name for own in read.values() for name in own["scores"]))
    parts = {name: [name] for name in names}
    asked = [(own, [p for lines in own["lines"].values() for p in lines]) for own in read.values()]
    return {
        "benchmarks": names,
        "models": [
            {**branches.summarise_model(own, lines, parts), "scores": {name: own["scores"].get(name) for name in names}}
            for own, lines in asked
        ],
        "compared": branches.compare_with_first_model(asked, parts),
        "gates": [gate for own in read.values() for gate in own["gates"]],
    }


def _cell(scores: dict[str, Any], name: str) -> dict[str, Any] | None:
    told = scores.get("benchmarks", {}).get(name, {}).get("seen", {})
    for c in scores["cells"]:
        if (c["set"], c["source"], c["capability"]) == (name, ALL, ALL):
            return {**{key: c[key] for key in _SHOWN}, "cut_off": told.get("cut_off", 0)}
    return None
