"""Accuracy per branch of the label tree: L1, L2 and L3 of both axes, with intervals (form: ours).

A branch holds every item whose dotted label begins with the branch's path, so items of uneven depth count in every
level they reach: ``a.b`` counts in ``a`` and ``a.b`` beside the items of ``a.b.c``. Items without a label on an axis
are in none of its branches and are counted as unlabelled. A leaf of a given tree that no item asks about is a branch
with n = 0, interval [0, 1] and no accuracy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import fsum
from pathlib import Path
from typing import Any

from mindgpt_plugins.stages.evaluate.scoring import compute_mean, compute_wilson_interval

VERSION = 1
"""Of the ``branches.json`` layout; raised when a key changes its meaning."""
AXES = ("knowledge", "capability")
LEVELS = 3
CONFIDENCE = 0.95

Prediction = Mapping[str, Any]
Leaves = Mapping[str, Sequence[str]]
"""Axis → dotted labels that should have been asked about."""


class LabelError(ValueError):
    """A label is no dotted path; the message names it and where it stands."""


def parse_label_path(label: str | None, where: str = "a row") -> tuple[str, ...]:
    """Up to three elements of a dotted label; empty without one.

    Args:
        label: e.g. ``vehicles.road.truck``; None or the empty string for an unlabelled item.
        where: for the error message.

    Raises:
        LabelError: an element is empty, as in ``vehicles..truck``.
    """
    if not label:
        return ()
    parts = label.split(".")
    if not all(part.strip() for part in parts):
        raise LabelError(f"{where}: label {label!r} has an empty element; labels are dotted, e.g. vehicles.road.truck")
    return tuple(parts[:LEVELS])


def group_branch_members(predictions: Iterable[Prediction]) -> dict[tuple[str, tuple[str, ...]], list[Prediction]]:
    """The items of every branch that has some: (axis, path) → predictions."""
    found: dict[tuple[str, tuple[str, ...]], list[Prediction]] = {}
    for p in predictions:
        for axis in AXES:
            path = parse_label_path(p.get(axis), f"{axis} of {p['uid']}")
            for level in range(1, len(path) + 1):
                found.setdefault((axis, path[:level]), []).append(p)
    return found


def build_branch_records(predictions: Sequence[Prediction], leaves: Leaves | None = None) -> list[dict[str, Any]]:
    """One record per branch, parents before their children, knowledge first.

    Args:
        predictions: lines of ``predictions.jsonl``.
        leaves: labels of a tree; their branches appear with n = 0 where nothing was asked.

    Returns:
        Records with: axis, level, path, n, correct, accuracy, low and high (95 % Wilson interval), parsed (share of
        replies that state an answer), and of the blank_n rows also asked with a blank image: blank_accuracy and
        sighted_accuracy (the same rows with the image). Those rows are so many of each set, source and capability;
        they are weighted back to all rows of it, so that a branch over several is estimated without bias. A figure
        without data is null.
    """
    found = group_branch_members(predictions)
    for axis, labels in (leaves or {}).items():
        for label in labels:
            path = parse_label_path(label, f"{axis} tree")
            for level in range(1, len(path) + 1):
                found.setdefault((axis, path[:level]), [])
    weights = _blank_weights(predictions)
    return [_record(axis, path, found[axis, path], weights) for axis, path in sort_branches(found)]


def sort_branches(keys: Iterable[tuple[str, tuple[str, ...]]]) -> list[tuple[str, tuple[str, ...]]]:
    """Branches with parents before their children, knowledge first."""
    return sorted(keys, key=lambda key: (AXES.index(key[0]), key[1]))


def build_branch_document(
    model: str,
    sets: Sequence[str],
    predictions: Sequence[Prediction],
    leaves: Leaves | None = None,
    compared: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The content of ``branches.json``.

    Args:
        model: name of the model, for the reader.
        sets: names of the evaluated sets.
        predictions: of all sets.
        leaves: see :func:`build_branch_records`.
        compared: per-branch differences to an earlier evaluation
            (:func:`mindgpt_plugins.stages.evaluate.paired.compare_evaluations`).

    Returns:
        ``branches`` over all sets and ``by_set`` (set → branches of that set alone; what drives the next data round
        should never look at a test set), ``items``, ``unparsed`` (replies that state no answer), ``unlabelled`` (axis →
        items without a label), ``not_in_tree`` (axis of a given tree → labels of items that it does not have, most
        frequent first), ``compared`` (null without an earlier evaluation), version, model, sets, confidence.
    """
    return {
        "version": VERSION,
        "model": model,
        "sets": list(sets),
        "confidence": CONFIDENCE,
        "items": len(predictions),
        "unparsed": sum(p["answer"] is None for p in predictions),
        "unlabelled": {axis: sum(not p.get(axis) for p in predictions) for axis in AXES},
        "not_in_tree": {axis: _strangers(predictions, axis, labels) for axis, labels in (leaves or {}).items()},
        "branches": build_branch_records(predictions, leaves),
        "by_set": {name: build_branch_records([p for p in predictions if p["set"] == name], leaves) for name in sets},
        "compared": compared,
    }


def read_tree_leaves(trees: Mapping[str, Path]) -> dict[str, list[str]]:
    """Leaf labels of mindgpt_data trees.

    Args:
        trees: axis → file or folder of a tree.

    Raises:
        TreeError: a tree is missing or malformed.
    """
    from mindgpt_data.tree.files import load_tree

    return {axis: load_tree(axis, path).leaves for axis, path in trees.items()}


def _strangers(predictions: Sequence[Prediction], axis: str, labels: Sequence[str]) -> list[str]:
    known = set(labels)
    odd = Counter(p[axis] for p in predictions if p.get(axis) and p[axis] not in known)
    return [label for label, _ in odd.most_common()]


Stratum = tuple[str, str, str]


def _stratum(p: Prediction) -> Stratum:
    """What rows are sampled by: see ``rows`` of the stage's ``samples``."""
    return (p["set"], p["source"], p["capability"])


def _blank_weights(predictions: Sequence[Prediction]) -> dict[Stratum, float]:
    """How many rows each row with a blank image stands for."""
    rows = Counter(map(_stratum, predictions))
    blank = Counter(_stratum(p) for p in predictions if p["blank_correct"] is not None)
    return {stratum: rows[stratum] / count for stratum, count in blank.items()}


def _record(
    axis: str, path: tuple[str, ...], rows: Sequence[Prediction], weights: Mapping[Stratum, float]
) -> dict[str, Any]:
    right = sum(bool(p["correct"]) for p in rows)
    low, high = compute_wilson_interval(right, len(rows))
    blank = [p for p in rows if p["blank_correct"] is not None]
    stands_for = [weights[_stratum(p)] for p in blank]
    return {
        "axis": axis,
        "level": len(path),
        "path": list(path),
        "n": len(rows),
        "correct": right,
        "accuracy": right / len(rows) if rows else None,
        "low": low,
        "high": high,
        "parsed": compute_mean(p["answer"] is not None for p in rows),
        "blank_n": len(blank),
        "blank_accuracy": _weighted([p["blank_correct"] for p in blank], stands_for),
        "sighted_accuracy": _weighted([p["correct"] for p in blank], stands_for),
    }


def _weighted(values: Sequence[bool], weights: Sequence[float]) -> float | None:
    return fsum(w for v, w in zip(values, weights, strict=True) if v) / fsum(weights) if values else None
