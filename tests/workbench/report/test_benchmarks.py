from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import synthetic

from mindgpt_plugins.stages.evaluate import scoring
from mindgpt_plugins.workbench.report import build_report

CATEGORIES = {"mmbench": ("logic.order", "logic.number", "coarse.style"), "pope": ("adversarial", "random")}


def add_benchmark(run: Path, model: str, right: dict[str, float], gate: dict[str, Any] | None = None) -> None:
    """A finished ``benchmark`` stage as that stage writes it; ``right``: benchmark → share of right replies."""
    folder = run.parent / f"stages/benchmark_{model}_{'_'.join(right)}"
    folder.mkdir()
    predictions = [
        {
            "uid": f"default:{i}",
            "set": name,
            "source": "general",
            "capability": CATEGORIES[name][i % len(CATEGORIES[name])],
            "difficulty": None,
            "reply": "A",
            "answer": None if i % 40 == 39 else "A",
            "correct": i % 40 < 40 * share,
            "tokens": 3,
            "samples": [],
            "blank_correct": i % 4 == 0,
        }
        for name, share in right.items()
        for i in range(120)
    ]
    scores = {
        "version": 1,
        "model": model,
        "sets": list(right),
        "general": ["general"],
        "domain": ["domain"],
        "cells": scoring.aggregate_cells(predictions),
        "benchmarks": {name: {"seen": {"cut_off": 5}} for name in right},
        "gate": gate,
    }
    (folder / "predictions.jsonl").write_text("".join(json.dumps(p) + "\n" for p in predictions))
    (folder / "scores.json").write_text(json.dumps(scores))
    manifest = json.loads((run / "manifest.json").read_text())
    entry = {"name": folder.name, "kind": "benchmark", "folder": f"../stages/{folder.name}", "status": "done"}
    manifest["stages"].append(entry)
    (run / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return synthetic.make(tmp_path, per_task=20)


def test_benchmarks_stand_beside_own_sets_with_what_changed(run: Path) -> None:
    add_benchmark(run, "base", {"mmbench": 0.8, "pope": 0.5})
    add_benchmark(run, "rl", {"mmbench": 0.5, "pope": 0.525})
    text = build_report(run).read_text()
    data = json.loads((run / "report.json").read_text())
    found = data["benchmarks"]
    assert found["benchmarks"] == ["mmbench", "pope"] and data["held_out_set"] == "test"
    base = found["models"][0]
    assert (base["model"], base["unparsed"], base["scores"]["pope"]["accuracy"]) == ("base", 6, 0.5)
    assert [p["part"] for p in base["parts"]] == ["mmbench", "pope"]
    (compared,) = found["compared"]
    assert {t["part"]: (round(t["change"], 3), t["verdict"]) for t in compared["totals"]} == {
        "mmbench": (-0.3, "fell"),
        "pope": (0.025, "unclear"),
    }
    fell = {(b["part"], ".".join(b["path"])) for b in compared["branches"] if b["verdict"] == "fell"}
    assert ("mmbench", "logic") in fell and not any(part == "pope" for part, _ in fell)
    section = text[text.index('<section id="benchmarks">') :]
    assert "3 no answer" in section and "5 cut off" in section and "blank 25.0" in section
    assert 'base → rl: <b class="bad">' in section and not any("knowledge labels" in note for note in data["notes"])


def test_stages_of_one_model_are_put_together_and_a_gap_is_a_dash(run: Path) -> None:
    add_benchmark(run, "base", {"mmbench": 0.5})
    add_benchmark(run, "base", {"pope": 0.5})
    add_benchmark(run, "rl", {"pope": 0.5})
    build_report(run)
    found = json.loads((run / "report.json").read_text())["benchmarks"]
    assert [m["model"] for m in found["models"]] == ["base", "rl"]
    assert found["models"][0]["items"] == 240 and found["models"][1]["scores"]["mmbench"] is None
    assert found["compared"][0]["items"] == 120 and found["compared"][0]["only_before"] == 120


def test_a_run_of_benchmarks_alone_shows_their_categories(tmp_path: Path) -> None:
    run = synthetic.make(tmp_path, per_task=20, until="base")
    add_benchmark(run, "base", {"mmbench": 0.5})
    text = build_report(run).read_text()
    assert "No evaluation has finished" not in text and "base by category" in text and "mmbench · capability" in text


def test_a_gate_on_benchmarks_is_in_the_headline(run: Path) -> None:
    gate = {
        "verdict": "failed",
        "passed": False,
        "set": "pope",
        "margin": 0.03,
        "keep_gain": 0.8,
        "groups": [
            {
                "group": "pope",
                "n": 9,
                "needed": 9,
                "before": 1.0,
                "after": 0.0,
                "change": -1.0,
                "low": -1.0,
                "high": -1.0,
            }
            | {"verdict": "failed", "passed": False}
        ],
        "retention": 0.0,
        "domain": {"n": 0},
    }
    add_benchmark(run, "rl", {"pope": 0.5}, gate)
    text = build_report(run).read_text()
    gates = json.loads((run / "report.json").read_text())["headline"]["gates"]
    assert gates[-1] | {"passed": False, "fell": ["pope"]} == gates[-1] and "Gate of rl on <code>pope</code>" in text


def test_a_run_without_benchmarks_has_no_such_section(run: Path) -> None:
    assert 'id="benchmarks"' not in build_report(run).read_text()
    assert json.loads((run / "report.json").read_text())["benchmarks"] is None
