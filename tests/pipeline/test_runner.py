"""The runner on real processes: reuse, resume after a kill, what changed, locks, failures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from mindgpt_plugins.core import folders, process
from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.core.files import read_json
from mindgpt_plugins.pipeline import plan, runner
from mindgpt_plugins.recipe.loading import load_recipe

Write = Callable[..., Path]
CHAIN = "a: {kind: toy}\nb: {kind: toy, model: a}\nc: {kind: toy}\n"


def make(path: Path, *overrides: str, **options: object) -> plan.Plan:
    return plan.make_run_plan(load_recipe(str(path), overrides), path.parent / "runs", **options)  # type: ignore[arg-type]


def statuses(planned: plan.Plan) -> dict[str, str]:
    return {stage.name: stage.status for stage in planned.stages}


def run(path: Path, *overrides: str, **options: object) -> Path:
    return runner.run_plan(make(path, *overrides, **options), Console(quiet=True))


def test_second_run_reuses_everything(write_recipe: Write) -> None:
    path = write_recipe(CHAIN)
    folder = run(path)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert [stage["status"] for stage in manifest["stages"]] == ["done"] * 3
    assert set(statuses(make(path)).values()) == {"reuse"}
    assert (path.parent / "runs" / "toy").resolve() == folder


def test_change_reruns_what_depends_on_it_and_says_so(write_recipe: Write) -> None:
    path = write_recipe(CHAIN)
    run(path)
    changed = make(path, "stages.a.inner.rate=2.0")
    assert statuses(changed) == {"a": "run", "b": "run", "c": "reuse"}
    assert changed.stages[0].reason == "changed: inner.rate"
    assert changed.stages[1].reason == "input changed: a"


def test_stages_are_reused_across_recipes(write_recipe: Write) -> None:
    run(write_recipe(CHAIN))
    other = write_recipe("a: {kind: toy}\nd: {kind: toy, model: a, steps: 2}\n", name="other")
    assert statuses(make(other)) == {"a": "reuse", "d": "run"}


def test_fresh_keeps_the_old_folder(write_recipe: Write) -> None:
    path = write_recipe("a: {kind: toy}")
    run(path)
    run(path, fresh=True)
    assert len([p for p in (path.parent / "runs" / "stages").iterdir() if p.name.startswith("a-")]) == 2
    assert statuses(make(path)) == {"a": "reuse"}


def test_until_and_from(write_recipe: Write) -> None:
    path = write_recipe(CHAIN)
    with pytest.raises(StageError, match="needs 'a' to be done"):
        make(path, start="b")
    run(path, until="a")
    assert statuses(make(path, start="b")) == {"a": "reuse", "b": "run", "c": "run"}
    with pytest.raises(StageError, match="no such stage; it has: a, b, c"):
        make(path, until="z")


def test_failure_shows_the_log_and_loses_nothing(write_recipe: Write) -> None:
    path = write_recipe("a: {kind: toy}\nb: {kind: toy, model: a, fail: true}")
    with pytest.raises(StageError, match=r"(?s)'b' exited with status 1.*the toy was told to fail.*Run the same"):
        run(path)
    assert statuses(make(path)) == {"a": "reuse", "b": "resume"}


def test_own_check_stops_before_anything_starts(write_recipe: Write) -> None:
    path = write_recipe("a: {kind: toy, steps: 13}")
    with pytest.raises(StageError, match="steps must not be 13"):
        run(path)


def test_recorded_command_works_in_a_shell(write_recipe: Write) -> None:
    path = write_recipe("a: {kind: toy}")
    run(path)
    stage = make(path).stages[0]
    for checkpoint in stage.folder.glob("checkpoint-*"):
        checkpoint.unlink()
    subprocess.run(["bash", str(stage.folder / "command.sh")], check=True, env={"PATH": os.environ["PATH"]})
    assert (stage.folder / "work.txt").read_text().split() == ["1", "2", "3"] * 2


def test_kill_nine_then_the_same_command_goes_on(write_recipe: Write) -> None:
    path = write_recipe("a: {kind: toy, steps: 8, sleep: 0.3}")
    command = [
        sys.executable,
        "-m",
        "mindgpt_plugins.cli",
        "run",
        str(path),
        "--runs",
        str(path.parent / "runs"),
        "--until",
        "a",
    ]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    folder = make(path).stages[0].folder
    deadline = time.monotonic() + 60
    while not (folder / "checkpoint-2").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    time.sleep(0.5)  # the stage's process dies with its runner
    done = len((folder / "work.txt").read_text().split())
    time.sleep(0.7)
    assert len((folder / "work.txt").read_text().split()) == done < 8
    assert statuses(make(path)) == {"a": "resume"}
    run(path)
    assert (folder / "work.txt").read_text().split() == [str(step) for step in range(1, 9)]


def test_time_and_memory_are_on_disk_while_a_stage_runs(tmp_path: Path) -> None:
    path = tmp_path / "stage.json"
    spent = runner._Spent({"seconds": 2.0, "peak_rss_bytes": 5}, path, every=0.02)
    spent.tick(7)
    assert not path.exists()
    time.sleep(0.03)
    spent.tick(9)
    found = read_json(path)
    assert 2.03 <= found["seconds"] < 3 and found["peak_rss_bytes"] == 9


def test_a_locked_folder_is_refused(tmp_path: Path) -> None:
    lock = process.Lock(tmp_path)
    with pytest.raises(RuntimeError, match=f"in use by another run .process {os.getpid()}"):
        process.Lock(tmp_path)
    lock.release()
    process.Lock(tmp_path).release()


def test_interpreter_that_does_not_exist(write_recipe: Write) -> None:
    path = write_recipe("a: {kind: toy, python: env/none/bin/python}")
    with pytest.raises(StageError, match="interpreter 'env/none/bin/python'"):
        make(path)


def test_find_run_lists_the_runs(write_recipe: Write) -> None:
    path = write_recipe("a: {kind: toy}")
    folder = run(path)
    assert folders.find_run(path.parent / "runs", "toy") == folder
    with pytest.raises(FileNotFoundError, match="known runs: .*toy"):
        folders.find_run(path.parent / "runs", "tyo")
