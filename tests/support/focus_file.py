"""Writes branch files for the tests of the focus, as the ``evaluate`` stage does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mindgpt_plugins.stages.evaluate.branches import build_branch_document


def answers(axis: str, label: str, right: int, wrong: int, name: str = "dev") -> list[dict[str, Any]]:
    """Judged replies about one label."""
    return [
        {
            "uid": f"{label}-{i}",
            "set": name,
            "source": "domain",
            "knowledge": None,
            "capability": None,
            axis: label,
            "correct": i < right,
            "answer": "x",
            "blank_correct": None,
        }
        for i in range(right + wrong)
    ]


def write(path: Path, *told: tuple[str, str, int, int] | tuple[str, str, int, int, str]) -> Path:
    """A ``branches.json`` about (axis, label, right, wrong[, set])."""
    predictions = [line for one in told for line in answers(*one)]
    path.write_text(json.dumps(build_branch_document("m", sorted({p["set"] for p in predictions}), predictions)))
    return path
