"""From the harness's rows to predictions, scores, gate and printed lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from benchmark_jobs import benchmark_job

from mindgpt_plugins.stages.benchmark.results import (
    build_predictions,
    format_accuracy_table,
    read_capability_label,
    summarise_passes,
)
from mindgpt_plugins.stages.benchmark.run import judge_benchmark_gate
from mindgpt_plugins.stages.evaluate import scoring


def row(name: str, index: int, right: bool, *, blank: bool = False, **more: Any) -> dict[str, Any]:
    return {
        "pass": "blank" if blank else "seen",
        "benchmark": name,
        "subset": "val",
        "index": index,
        "metadata": {"category": "math", "l2_category": "numeric commonsense/calculation"},
        "reply": "ANSWER: A",
        "answer": "A",
        "score": float(right),
        "tokens": 4,
        "finished": True,
        **more,
    }


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    seen = [row("mmstar", i, i < 6) for i in range(8)] + [row("pope", 0, True, metadata={"category": "random"})]
    seen += [row("mmstar", 8, False, answer=None, reply="hm", finished=False)]
    return seen + [row("mmstar", i, i == 0, blank=True) for i in range(9)]


def test_predictions_have_the_keys_of_an_evaluate_stage(rows: list[dict[str, Any]]) -> None:
    found = build_predictions(rows, {"pope": "domain"})
    assert len(found) == 10 and found[0] == {
        "uid": "val:0",
        "set": "mmstar",
        "source": "general",
        "capability": "math.numeric commonsense-calculation",
        "difficulty": None,
        "reply": "ANSWER: A",
        "answer": "A",
        "correct": True,
        "tokens": 4,
        "samples": [],
        "blank_correct": True,
    }
    assert found[-1]["source"] == "domain" and found[-1]["blank_correct"] is None
    (cell,) = (
        c
        for c in scoring.aggregate_cells(found)
        if (c["set"], c["source"], c["capability"]) == ("mmstar", "all", "all")
    )
    assert (cell["n"], cell["correct"]) == (9, 6) and cell["parsed"] == pytest.approx(8 / 9)
    assert cell["blank_accuracy"] == pytest.approx(1 / 9) and cell["sighted_accuracy"] == pytest.approx(6 / 9)


def test_replies_that_do_not_parse_are_counted_and_shown(rows: list[dict[str, Any]]) -> None:
    found = summarise_passes(rows, {"mmstar": {"seen": [{"name": "accuracy", "score": 0.6, "n": 9}]}})
    seen = found["mmstar"]["seen"]
    assert (seen["n"], seen["correct"], seen["unparsed"], seen["cut_off"]) == (9, 6, 1, 1)
    assert seen["examples"] == ["hm"] and seen["harness"][0]["score"] == 0.6
    lines = format_accuracy_table(scoring.aggregate_cells(build_predictions(rows, {})), found)
    assert lines == [
        "mmstar: 66.7 % (35.4 to 87.9) of 9, 11.1 % without the picture; 1 replies did not parse, e.g. 'hm'; "
        "1 were cut off at max_new_tokens",
        "pope: 100.0 % (20.7 to 100.0) of 1",
    ]


def test_a_benchmark_without_categories_is_divided_by_subset() -> None:
    assert read_capability_label(row("mmmu", 0, True, subset="Art_Theory")) == "Art_Theory"
    assert read_capability_label(row("ocrbench", 0, True, metadata={"question_type": None}, subset="a/b")) == "a-b"


@pytest.mark.parametrize("fallen, verdict", [(0, "passed"), (40, "failed")])
def test_the_gate_judges_every_benchmark_on_the_same_rows(tmp_path: Path, fallen: int, verdict: str) -> None:
    def asked(lost: int) -> list[dict[str, Any]]:
        both = [row("mmstar", i, i >= lost) for i in range(200)] + [row("pope", i, i % 2 == 0) for i in range(200)]
        return build_predictions(both, {})

    before = tmp_path / "before.jsonl"
    before.write_text("".join(json.dumps(p) + "\n" for p in asked(0)))
    asked_for = {"before": str(before), "groups": "set", "margin": 0.03, "on_fail": "continue"}
    job = benchmark_job(gate=asked_for, benchmarks=["mmstar", "pope"])
    judged = judge_benchmark_gate(job, asked(fallen))
    assert judged and judged["verdict"] == verdict
    assert [(g["group"], g["n"]) for g in judged["groups"]] == [("mmstar", 200), ("pope", 200)]
    with pytest.raises(ValueError, match="the same general items"):
        judge_benchmark_gate(job, asked(0)[:-1])
