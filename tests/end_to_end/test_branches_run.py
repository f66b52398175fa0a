"""Accuracy per branch of the label tree in a finished run: the files and what the report says of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mindgpt_plugins.workbench.report.run import load_run

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def evaluations(run: Path) -> dict[str, Path]:
    return {s.name: s.folder for s in load_run(run).stages if s.kind == "evaluate" and s.finished}


def test_branches_add_up_to_the_scores(evaluations: dict[str, Path]) -> None:
    for folder in evaluations.values():
        scores, found = (json.loads((folder / f"{name}.json").read_text()) for name in ("scores", "branches"))
        for name, rows in found["by_set"].items():
            (whole,) = [c for c in scores["cells"] if (c["set"], c["source"], c["capability"]) == (name, "all", "all")]
            top = [b for b in rows if b["axis"] == "capability" and b["level"] == 1]
            assert sum(b["n"] for b in top) == whole["n"] and sum(b["correct"] for b in top) == whole["correct"]
            levels = {(b["axis"], b["level"]) for b in rows}
            assert {("knowledge", 1), ("knowledge", 2), ("knowledge", 3), ("capability", 1)} <= levels
        assert found["unlabelled"]["capability"] == 0 and 0 < found["unlabelled"]["knowledge"] < found["items"]
        assert all(b["low"] <= b["accuracy"] <= b["high"] for b in found["branches"] if b["n"])
        assert sum(b["blank_n"] for b in found["branches"] if (b["axis"], b["level"]) == ("capability", 1)) > 0


@pytest.mark.usefixtures("whole")
def test_domain_learning_costs_general_branches_and_the_report_names_them(report: dict[str, Any]) -> None:
    compared = {c["model"]: c for c in report["branches"]["compared"]}
    after = {(b["part"], b["axis"], ".".join(b["path"])): b for b in compared["domain"]["branches"]}
    assert (
        after["domain", "knowledge", "vehicles"]["verdict"]
        == after["domain", "knowledge", "signs"]["verdict"]
        == "rose"
    )
    assert any(b["verdict"] == "fell" for (part, _, _), b in after.items() if part == "general")
    (total,) = [t for t in compared["domain"]["totals"] if t["part"] == "general"]
    assert total["verdict"] == "fell" and total["high"] < 0
