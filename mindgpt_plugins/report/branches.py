"""Figures of the label tree: accuracy per branch of every model, and what fell or rose since the first one."""

from __future__ import annotations

from typing import Any

from mindgpt_plugins.evaluate import branches, paired
from mindgpt_plugins.evaluate.scoring import wilson
from mindgpt_plugins.report.run import read_json, read_jsonl

Evaluation = dict[str, Any]


def figures(found: list[Evaluation], name: str | None, notes: list[str]) -> dict[str, Any] | None:
    """Branches of every evaluated model on one set.

    Args:
        found: evaluations, the base first.
        name: the set.
        notes: told what is missing.

    Returns:
        ``set``, ``models`` (model, stage, items, unparsed, never_asked: axis → leaves of the stage's tree without an
        item, parts: part, n, correct, accuracy, low, high and its ``branches``) and ``compared`` (a comparison of each
        later model with the first one, see :func:`mindgpt_plugins.evaluate.paired.compare`, with model, stage, and
        ``totals``: the same figures for each whole part). None without predictions.
    """
    read = [(e, _predictions(e, name)) for e in found]
    read = [(e, predictions) for e, predictions in read if predictions]
    if not read:
        return None
    old = [e["model"] for e, predictions in read if "knowledge" not in predictions[0]]
    if old:
        notes.append(f"evaluated before knowledge labels were kept, so without that axis: {', '.join(old)}")
    parts = {part: read[0][0][part] for part in ("general", "domain")}
    return {
        "set": name,
        "models": [_model(e, predictions, parts, name) for e, predictions in read],
        "compared": [_against(read[0], later, parts) for later in read[1:] if _common(read[0][1], later[1])],
    }


def _model(
    evaluation: Evaluation, predictions: list[dict[str, Any]], parts: dict[str, list[str]], name: str | None
) -> dict[str, Any]:
    written = read_json(evaluation["folder"] / "branches.json") or {}
    empty = [b for b in (written.get("by_set") or {}).get(name, []) if b["n"] == 0 and b["level"] == branches.LEVELS]
    return {
        "model": evaluation["model"],
        "stage": evaluation["stage"],
        "items": len(predictions),
        "unparsed": sum(p["answer"] is None for p in predictions),
        "never_asked": {
            axis: [".".join(b["path"]) for b in empty if b["axis"] == axis]
            for axis in branches.AXES
            if any(b["axis"] == axis for b in empty)
        },
        "parts": [
            {"part": part, **_share(items), "branches": branches.records(items)}
            for part, items in paired.split(predictions, parts).items()
        ],
    }


def _against(
    base: tuple[Evaluation, list[dict[str, Any]]],
    later: tuple[Evaluation, list[dict[str, Any]]],
    parts: dict[str, list[str]],
) -> dict[str, Any]:
    was = {p["uid"]: bool(p["correct"]) for p in base[1]}
    totals = [
        {"part": part, **paired.difference([(was[p["uid"]], bool(p["correct"])) for p in items])}
        for part, items in paired.split([p for p in later[1] if p["uid"] in was], parts).items()
    ]
    compared = paired.compare(base[1], later[1], base[0]["model"], parts)
    return {"model": later[0]["model"], "stage": later[0]["stage"], "totals": totals, **compared}


def _share(items: list[dict[str, Any]]) -> dict[str, Any]:
    right = sum(bool(p["correct"]) for p in items)
    low, high = wilson(right, len(items))
    return {"n": len(items), "correct": right, "accuracy": right / len(items), "low": low, "high": high}


def _predictions(evaluation: Evaluation, name: str | None) -> list[dict[str, Any]]:
    return [p for p in read_jsonl(evaluation["folder"] / "predictions.jsonl") if p["set"] == name]


def _common(a: list[dict[str, Any]], b: list[dict[str, Any]]) -> bool:
    return not {p["uid"] for p in a}.isdisjoint(p["uid"] for p in b)
