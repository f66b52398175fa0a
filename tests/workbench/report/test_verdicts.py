"""How a gate's verdict is told: the groups that fell, and those with too few items."""

from __future__ import annotations

from typing import Any

import numpy as np

from mindgpt_plugins.stages.evaluate.forgetting import Judged, judge_forgetting_gate
from mindgpt_plugins.web.page import make_environment
from mindgpt_plugins.workbench.report import abilities

SECTION: Any = make_environment().get_template("report/abilities.html").module

DOMAIN: Judged = {f"d{i}": ("domain", i < 80) for i in range(100)}


def judged(lost: dict[str, int], n: dict[str, int]) -> tuple[Judged, Judged]:
    before = {f"{g}{i}": (g, True) for g, size in n.items() for i in range(size)}
    after = {f"{g}{i}": (g, i >= lost[g]) for g, size in n.items() for i in range(size)}
    return before, after


def test_groups_that_fell_and_groups_that_are_too_small() -> None:
    before, after = judged({"colour": 100, "shape": 0, "count": 1}, {"colour": 1000, "shape": 1000, "count": 60})
    result = {"set": "dev", **judge_forgetting_gate(before, after, DOMAIN, DOMAIN)}
    assert [abilities.read_gate_verdict(g) for g in result["groups"]] == ["failed", "undecided", "passed"]
    row = {
        "model": "m",
        "gate": result,
        "groups": {},
        "retention": 0.9,
        "general": 0.8,
        "domain": 0.8,
        "domain_gain": 0.0,
    }
    page = SECTION.retention({"retention": [{**row, "gate": None}, row], "held_out_set": "test"})
    assert '<b class="bad">failed</b>' in page
    assert f'<b class="warn">undecided</b> (needs {result["groups"][1]["needed"]} items)' in page


def test_older_scores_have_no_verdict() -> None:
    assert [abilities.read_gate_verdict({"passed": passed}) for passed in (True, False)] == ["passed", "failed"]


def test_an_undecided_gate_is_neither_good_nor_bad() -> None:
    same = {f"g{i}": ("g", bool(np.sin(i) > 0)) for i in range(20)}
    result = judge_forgetting_gate(same, same, DOMAIN, DOMAIN)
    entry = {"stage": "e", "model": "m", "passed": result["passed"], "verdict": result["verdict"], "fell": []}
    assert (entry["passed"], entry["verdict"]) == (False, "undecided")
    assert 'class="warn">undecided' in SECTION.verdict(result)


def test_the_candidates_of_an_interpolation() -> None:
    shared = {"domain": 0.5, "general": 0.7, "retention": 0.98, "undecided": []}
    candidates = [{"alpha": 0.5, "fell": [], **shared}, {"alpha": 1.0, "fell": ["colour"], **shared}]
    found = [{"stage": "soup", "alpha": 0.5, "candidates": candidates}]
    page = SECTION.interpolations({"interpolations": found})
    assert "soup: a = 0.5" in page and "<b>0.5</b>" in page and '<b class="bad">colour</b>' in page
    assert not SECTION.interpolations({"interpolations": []}).strip()
