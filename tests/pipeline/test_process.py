"""``mindgpt run`` told to end: its stage is asked to save, nothing of it is left, and the same command goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.process_table import describe_left, mark_environment, wait_until

from mindgpt_plugins.pipeline import plan
from mindgpt_plugins.recipe.loading import load_recipe


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_run_that_is_told_to_end_can_be_gone_on_with(
    write_recipe: Callable[..., Path], sent: signal.Signals, status: int
) -> None:
    path = write_recipe("a: {kind: toy, steps: 1000, sleep: 0.05}")
    runs = path.parent / "runs"
    environment = mark_environment()
    run = subprocess.Popen(
        [sys.executable, "-m", "mindgpt_plugins.cli", "run", str(path), "--runs", str(runs)],
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # pytest may run in the background
    )
    assert wait_until(lambda: any(runs.glob("stages/a-*/checkpoint-2")))
    run.send_signal(sent)
    said = run.communicate(timeout=60)[1]
    assert run.returncode == status and describe_left(environment) == []
    assert said == f"{sent.name}: stopping within 30 s; what is done is kept, the same command goes on from it\n"
    (stage,) = plan.make_run_plan(load_recipe(str(path), ()), runs).stages
    assert stage.status == "resume" and stage.folder == next(runs.glob("stages/a-*"))
