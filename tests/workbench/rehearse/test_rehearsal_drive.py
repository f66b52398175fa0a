"""The driver on real processes: one kill -9 inside a stage, the resumed run goes on, faults of a resume are seen."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mindgpt_plugins.core.registry import get_registered
from mindgpt_plugins.pipeline import plan
from mindgpt_plugins.recipe.loading import load_recipe
from mindgpt_plugins.workbench.rehearse.drive import Kill, drive_stages
from mindgpt_plugins.workbench.rehearse.evidence import find_failure_cause, judge_resume, judge_stage
from mindgpt_plugins.workbench.rehearse.saved import find_changed_files, fingerprint_files

STAGES = """
slow: {kind: toy, steps: 3, sleep: 0.4}
quick: {kind: toy, model: slow, steps: 1, fail: %s}
"""


def driven(write_recipe: Callable[..., Path], tmp_path: Path, fail: str):
    recipe = write_recipe(STAGES % fail)
    planned = plan.make_run_plan(load_recipe(str(recipe)), tmp_path / "runs")
    said: list[str] = []
    return drive_stages(planned, recipe, tmp_path / "runs", say=said.append), planned, said


def test_every_stage_is_killed_once_and_goes_on(write_recipe: Callable[..., Path], tmp_path: Path) -> None:
    result, planned, said = driven(write_recipe, tmp_path, "false")
    slow = planned.stages[0]
    assert result.failed is None, result.message
    assert 1 <= result.kills["slow"].step < 3 and result.kills["slow"].left == 0
    assert json.loads((slow.folder / "stage.json").read_text())["attempts"] == 2
    # The toy trains a step only where there is no checkpoint: each once, so nothing was lost and nothing repeated.
    assert (slow.folder / "work.txt").read_text().split() == ["1", "2", "3"]
    assert any(line.startswith("slow: killed with kill -9 after") for line in said)
    assert "slow: goes on after its kill" in said
    found = judge_stage(slow, result.kills["slow"])
    assert [(one.topic, one.state) for one in found] == [("resume", "proven")]
    # Killed itself, a rehearsal does not kill again what it has killed.
    again = drive_stages(planned, tmp_path / "toy.yaml", tmp_path / "runs", say=said.append)
    assert again.kills == result.kills


def test_a_stage_that_fails_is_named_with_its_cause(write_recipe: Callable[..., Path], tmp_path: Path) -> None:
    result, *_ = driven(write_recipe, tmp_path, "true")
    assert result.failed == "quick"
    assert find_failure_cause(result.message).startswith("ValueError: the toy was told to fail (log: ")


def kept(kind: str, folder: Path, step: int):
    return fingerprint_files(folder, get_registered("stage", kind)().rehearsal_rules().list_saved(None, folder, step))


def test_a_resume_that_loses_or_rewrites_something_is_seen(tmp_path: Path) -> None:
    passes = tmp_path / "passes"
    passes.mkdir()
    (passes / "greedy.jsonl").write_text('{"key": 1}\n{"key": 2}\n{"to')
    before = kept("evaluate", tmp_path, 2)
    (passes / "greedy.jsonl").write_text('{"key": 1}\n{"key": 2}\n{"key": 3}\n')
    assert find_changed_files(tmp_path, before) == []
    (passes / "greedy.jsonl").write_text('{"key": 1}\n{"key": 3}\n{"key": 2}\n')
    assert find_changed_files(tmp_path, before) == ["passes/greedy.jsonl"]
    checkpoint = tmp_path / "model" / "checkpoint-1"
    checkpoint.mkdir(parents=True)
    state = checkpoint / "trainer_state.json"
    state.write_text('{"global_step": 1}')
    before = kept("sft", tmp_path, 1)
    assert find_changed_files(tmp_path, before) == []
    state.unlink()
    state.write_text('{"global_step": 1}')  # the same content, trained again
    assert find_changed_files(tmp_path, before) == ["model/checkpoint-1/trainer_state.json"]


@pytest.mark.parametrize(
    ("steps", "said"),
    [([1, 2], "proven"), ([2], "failed"), ([1, 1, 2], "failed"), ([1], "failed")],
)
def test_steps_that_are_missing_or_trained_twice(
    steps: list[int], said: str, write_recipe: Callable[..., Path], tmp_path: Path
) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "name: r\ndevice: cpu\nstages:\n  s: {kind: sft, model: a/b, data: [./d/x], max_steps: 2, batch_size: 2}\n"
    )
    (tmp_path / "d").mkdir()
    stage = plan.make_run_plan(load_recipe(str(recipe)), tmp_path / "runs").stages[0]
    for step in (1, 2):
        checkpoint = stage.folder / "model" / f"checkpoint-{step}"
        checkpoint.mkdir(parents=True)
        (checkpoint / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    lines = "".join(json.dumps({"step": step, "loss": 1.0}) + "\n" for step in steps)
    (stage.folder / "metrics.jsonl").write_text(lines)
    learning = stage.stage.rehearsal_rules().learning(stage.config)
    assert [one.state for one in judge_resume(stage, Kill(1), learning)] == [said]


def test_a_known_fault_of_a_host_comes_with_what_to_do() -> None:
    said = find_failure_cause("TypeError: Parameter.__new__() got an unexpected keyword argument '_is_hf_initialized'")
    assert said.startswith("TypeError: Parameter.__new__()") and "launch.rl.python" in said
