"""What a stop leaves behind, and what a resumed run sees of it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mindgpt_plugins.core.files import load_jsonl
from mindgpt_plugins.core.metrics import append_metrics
from mindgpt_plugins.guards.config import LossGuard
from mindgpt_plugins.guards.divergence import describe_divergence, read_divergence, set_aside_unproven
from mindgpt_plugins.guards.monitor import Checkpoints, TrainingMonitor
from mindgpt_plugins.guards.watch import LossWatch


def make_monitor(folder: Path, writes: bool = True, **guard: object) -> TrainingMonitor:
    settings = LossGuard.model_validate(guard)
    where = Checkpoints(folder / "model", "checkpoint-")
    return TrainingMonitor(
        folder, ("loss", "grad_norm"), LossWatch(settings), settings, where, ["a lower lr"], writes=writes
    )


def judge(monitor: TrainingMonitor, step: int, **figures: float) -> str | None:
    return monitor.judge_step(step, 100, figures, monitor.find_fault(figures))


def write_checkpoint(folder: Path, step: int, value: float = 1.0) -> Path:
    path = folder / "model" / f"checkpoint-{step}"
    path.mkdir(parents=True)
    save_file({"w": torch.tensor([value])}, path / "model.safetensors")
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "model").iterdir())


def test_a_checkpoint_is_good_once_a_finite_step_came_after_it(tmp_path: Path) -> None:
    for step in (10, 20, 30):
        write_checkpoint(tmp_path, step)
    monitor = make_monitor(tmp_path)
    assert [judge(monitor, step, loss=1.0, grad_norm=2.0) for step in range(1, 31)] == [None] * 30
    why = judge(monitor, 31, loss=math.nan)
    assert names(tmp_path) == ["checkpoint-10", "checkpoint-20", "diverged-checkpoint-30"]
    assert why is not None and why.startswith("loss is nan at step 31 of 100\n")
    for said in (
        "checkpoint-20\n",
        "Set aside",
        "diverged-checkpoint-30",
        "Try a lower lr",
        "diverged.json",
        "--fresh",
    ):
        assert said in why
    found = read_divergence(tmp_path)
    assert found is not None and (found.step, found.finite, found.guard) == (31, 30, None)
    assert found.checkpoint == str(tmp_path / "model" / "checkpoint-20")


def test_a_checkpoint_with_unsound_weights_is_not_the_last_good_one(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 1)
    write_checkpoint(tmp_path, 2, math.nan)
    good, aside = set_aside_unproven(tmp_path / "model", "checkpoint-", finite=5)
    assert (
        good is not None and good.name == "checkpoint-1" and [path.name for path in aside] == ["diverged-checkpoint-2"]
    )


def test_without_a_good_checkpoint_it_says_so(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 1)
    monitor = make_monitor(tmp_path)
    judge(monitor, 1, loss=1.0)
    why = judge(monitor, 2, loss=1.0, grad_norm=math.inf)
    assert why is not None and "grad_norm is inf at step 2" in why and "Last good checkpoint: none" in why
    assert names(tmp_path) == ["diverged-checkpoint-1"]


def test_a_second_divergence_does_not_lose_the_first_ones_checkpoints(tmp_path: Path) -> None:
    for _ in range(2):
        write_checkpoint(tmp_path, 4)
        set_aside_unproven(tmp_path / "model", "checkpoint-", finite=4)
    assert names(tmp_path) == ["diverged-checkpoint-4", "diverged-checkpoint-4x"]


def test_with_sparse_lines_the_range_of_steps_is_said(tmp_path: Path) -> None:
    monitor = make_monitor(tmp_path)
    judge(monitor, 10, loss=1.0)
    why = judge(monitor, 20, loss=math.nan)
    assert why is not None and why.startswith("loss is nan at step 20 of 100, or up to 9 steps before\n")


def test_other_ranks_stop_and_write_nothing(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 1)
    why = judge(make_monitor(tmp_path, writes=False), 2, loss=math.nan)
    assert why is not None and "loss is nan at step 2" in why
    assert names(tmp_path) == ["checkpoint-1"] and read_divergence(tmp_path) is None


def test_a_spike_warns_in_file_and_log_and_training_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monitor = make_monitor(tmp_path)
    assert [judge(monitor, step, loss=50.0 if step == 30 else 1.0) for step in range(1, 41)] == [None] * 40
    (line,) = load_jsonl(tmp_path / "warnings.jsonl")
    assert (line["step"], line["total"], line["guard"]) == (30, 100, "loss_spike")
    assert "mindgpt: warning: step 30: loss 50 is a spike" in capsys.readouterr().out


def test_a_guard_that_stops_keeps_the_checkpoints(tmp_path: Path) -> None:
    monitor = make_monitor(tmp_path, loss_spike="stop")
    for step in range(1, 30):
        judge(monitor, step, loss=1.0)
    write_checkpoint(tmp_path, 29)
    why = judge(monitor, 30, loss=50.0)
    found = read_divergence(tmp_path)
    assert why is not None and found is not None and found.guard is not None and found.guard["loss_spike"] == "stop"
    assert (
        found.checkpoint is not None
        and found.checkpoint.endswith("checkpoint-29")
        and names(tmp_path) == ["checkpoint-29"]
    )
    assert "guard: {loss_spike: warn}" in describe_divergence(found, tmp_path)


def test_a_resumed_run_knows_the_curve_before_it(tmp_path: Path) -> None:
    metrics = tmp_path / "metrics.jsonl"
    for step in range(1, 31):
        append_metrics(metrics, step, 100, {"loss": 1.0})
    (tmp_path / "warnings.jsonl").write_text("".join(json.dumps({"step": s}) + "\n" for s in (7, 28)))
    (tmp_path / "diverged.json").write_text("{}")
    monitor = make_monitor(tmp_path)
    monitor.resume(25, metrics)
    assert [line["step"] for line in load_jsonl(tmp_path / "warnings.jsonl")] == [7]
    assert not (tmp_path / "diverged.json").exists()
    judge(monitor, 26, loss=50.0)  # without the lines before it would be among the free first ones
    assert [line["step"] for line in load_jsonl(tmp_path / "warnings.jsonl")] == [7, 26]
