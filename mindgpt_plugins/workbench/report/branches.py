"""Figures of the label tree: accuracy per branch of every model, and what fell or rose since the first one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mindgpt_plugins.stages.evaluate import branches, paired
from mindgpt_plugins.stages.evaluate.scoring import compute_wilson_interval
from mindgpt_plugins.stages.reporting import read_json_if_complete
from mindgpt_plugins.workbench.report.run import read_whole_lines

Evaluation = dict[str, Any]


def collect_branch_figures(found: list[Evaluation], name: str | None, notes: list[str]) -> dict[str, Any] | None:
    """Branches of every evaluated model on one set.

    Args:
        found: evaluations, the base first.
        name: the set.
        notes: told what is missing.

    Returns:
        ``set``, ``models`` (model, stage, items, unparsed, never_asked: axis → leaves of the stage's tree without an
        item, parts: part, n, correct, accuracy, low, high and its ``branches``) and ``compared`` (a comparison of each
        later model with the first one, see
        :func:`mindgpt_plugins.stages.evaluate.paired.compare_evaluations`, with model and stage).
        None without predictions.
    """
    read = [(e, _predictions(e, name)) for e in found]
    read = [(e, predictions) for e, predictions in read if predictions]
    if not read:
        return None
    old = [e["model"] for e, predictions in read if "knowledge" not in predictions[0]]
    if old:
        notes.append(f"evaluated before knowledge labels were kept, so without that axis: {', '.join(old)}")
    parts = {part: read[0][0][part] for part in ("general", "domain")}
    models = [
        {**summarise_model(e, predictions, parts), "never_asked": _never_asked(e, name)} for e, predictions in read
    ]
    return {"set": name, "models": models, "compared": compare_with_first_model(read, parts)}


def compare_with_first_model(
    read: list[tuple[Evaluation, list[dict[str, Any]]]], parts: dict[str, list[str]]
) -> list[dict[str, Any]]:
    """A comparison of every later model with the first one, where they share items.

    Args:
        read: evaluations (``model`` and ``stage`` are used) and their predictions.
        parts: see :func:`mindgpt_plugins.stages.evaluate.paired.compare_evaluations`.
    """
    (base, before), keys = read[0], _keys(read[0][1])
    return [
        {"model": e["model"], "stage": e["stage"], **paired.compare_evaluations(before, after, base["model"], parts)}
        for e, after in read[1:]
        if keys & _keys(after)
    ]


def summarise_model(
    evaluation: Evaluation, predictions: list[dict[str, Any]], parts: dict[str, list[str]]
) -> dict[str, Any]:
    """Model, stage, items, unparsed replies, and accuracy and branches of each part."""
    return {
        "model": evaluation["model"],
        "stage": evaluation["stage"],
        "items": len(predictions),
        "unparsed": sum(p["answer"] is None for p in predictions),
        "parts": [
            {"part": part, **_share(items), "branches": branches.build_branch_records(items)}
            for part, items in paired.split_predictions(predictions, parts).items()
        ],
    }


def _never_asked(evaluation: Evaluation, name: str | None) -> dict[str, list[str]]:
    written = read_json_if_complete(evaluation["folder"] / "branches.json") or {}
    found: dict[str, list[str]] = {}
    for b in written.get("by_set", {}).get(name, []):
        if b["n"] == 0 and b["level"] == branches.LEVELS:
            found.setdefault(b["axis"], []).append(".".join(b["path"]))
    return found


def _share(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    right = sum(bool(p["correct"]) for p in items)
    low, high = compute_wilson_interval(right, len(items))
    return {"n": len(items), "correct": right, "accuracy": right / len(items), "low": low, "high": high}


def _predictions(evaluation: Evaluation, name: str | None) -> list[dict[str, Any]]:
    return [p for p in read_whole_lines(evaluation["folder"] / "predictions.jsonl") if p["set"] == name]


def _keys(predictions: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(p["set"], p["uid"]) for p in predictions}
