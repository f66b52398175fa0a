"""Runs a rehearsal with the ordinary runner, and kills it with ``kill -9`` once inside every stage.

``mindgpt run`` is killed when the stage it is in has saved its first progress, and started again; the resumed run
finishes that stage, goes on to the next and is killed there.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import filelock
import psutil

from mindgpt_plugins.core import folders
from mindgpt_plugins.core.files import read_json, write_json
from mindgpt_plugins.pipeline.plan import Plan, PlannedStage
from mindgpt_plugins.workbench.rehearse.meter import Meter
from mindgpt_plugins.workbench.rehearse.saved import fingerprint_files

_LOOK = 0.02
_PATIENCE, _LOCKED = 5.0, 60.0
"""Seconds that a killed runner's processes and its stage's lock may take to be gone."""


@dataclass
class Kill:
    """What was on disk when a stage was killed.

    Attributes:
        step: units of progress that were saved.
        files: fingerprints, see :func:`mindgpt_plugins.workbench.rehearse.saved.fingerprint_files`.
        left: processes that outlived their runner and had to be ended.
    """

    step: int
    files: dict[str, Any] = field(default_factory=dict)
    left: int = 0


@dataclass
class Driven:
    """What came of a rehearsal.

    Attributes:
        kills: stage → its kill; a stage that ended before it could be killed is not in it.
        failed: stage that failed, if one did.
        message: what the runner said about it.
        cpu_seconds: user and system time of the runners and everything they started.
    """

    kills: dict[str, Kill]
    failed: str | None = None
    message: str = ""
    cpu_seconds: float = 0.0


def drive_stages(plan: Plan, recipe: Path, runs: Path, *, say: Callable[[str], None]) -> Driven:
    """Run every stage of a plan with one kill in each.

    Args:
        plan: of the rehearsal's recipe.
        recipe: its file.
        runs: its folder for runs.
        say: told what happens, one line at a time.

    Returns:
        Kills and, when a stage failed, its message. Stages that were done before are left alone.
    """
    meter = Meter()
    state, log = runs / "kills.json", runs / "run.log"
    runs.mkdir(parents=True, exist_ok=True)
    # By folder: a stage with other settings is another one, and has not been killed yet.
    known: dict[str, Any] = read_json(state) if state.is_file() else {}
    kills = {one.name: Kill(**known[one.folder.name]) for one in plan.stages if one.folder.name in known}
    base = [sys.executable, "-m", "mindgpt_plugins.cli", "run", str(recipe), "--runs", str(runs)]
    while (current := _current(plan)) is not None:
        argv = [*base, "--until", _until(plan, current, kills)]
        with log.open("w") as out:
            runner = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"},
            )
        try:
            killed = _watch(runner, plan, kills, say, meter)
        except BaseException:
            _end(runner)
            raise
        if killed is not None:
            known |= {one.folder.name: asdict(kills[one.name]) for one in plan.stages if one.name in kills}
            write_json(state, known)
            continue
        before, current = current, _current(plan)
        if runner.returncode != 0:
            name = current.name if current is not None else plan.stages[-1].name
            return Driven(kills, name, log.read_text(errors="replace"), meter.seconds)
        if current is not None and current.name == before.name:
            said = "the runner ended without an error and without finishing this stage"
            return Driven(kills, current.name, said, meter.seconds)
    return Driven(kills, cpu_seconds=meter.seconds)


def _current(plan: Plan) -> PlannedStage | None:
    return next((stage for stage in plan.stages if not folders.is_stage_done(stage.folder)), None)


def _until(plan: Plan, current: PlannedStage, kills: Mapping[str, Kill]) -> str:
    """Last stage of the next start: the one that will be killed, so that the runner's check looks no further."""
    if current.name not in kills:
        return current.name
    names = [stage.name for stage in plan.stages]
    return names[min(names.index(current.name) + 1, len(names) - 1)]


def _watch(
    runner: subprocess.Popen[bytes], plan: Plan, kills: dict[str, Kill], say: Callable[[str], None], meter: Meter
) -> str | None:
    """Wait for the runner's end or for something to kill; the name of the stage that was killed."""
    started: str | None = None
    while runner.poll() is None:
        meter.look(runner.pid)
        stage = _current(plan)
        if stage is None:
            runner.wait()
            break
        if stage.name != started and (stage.folder / "stage.json").is_file():
            started = stage.name
            say(f"{stage.name}: {'goes on after its kill' if stage.name in kills else 'started'}")
        if stage.name not in kills:
            step = stage.stage.rehearsal_rules().measure_progress(stage.config, stage.folder)
            if step > 0:
                meter.look(runner.pid, now=True)
                kills[stage.name] = _kill(runner, stage, step)
                say(f"{stage.name}: killed with kill -9 after {step} saved")
                return stage.name
        time.sleep(_LOOK)
    return None


def _kill(runner: subprocess.Popen[bytes], stage: PlannedStage, step: int) -> Kill:
    family = psutil.Process(runner.pid).children(recursive=True)
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    alive = _wait(family)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    _unlocked(stage.folder)
    # Looked at only now: the last thing its processes wrote counts.
    rules = stage.stage.rehearsal_rules()
    step = max(step, rules.measure_progress(stage.config, stage.folder))
    saved = fingerprint_files(stage.folder, rules.list_saved(stage.config, stage.folder, step))
    return Kill(step, saved, len(alive))


def _wait(family: list[psutil.Process]) -> list[psutil.Process]:
    """Wait for processes that are not our children; those still there when patience ends."""
    deadline = time.monotonic() + _PATIENCE
    while (alive := [one for one in family if _lives(one)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return alive


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _unlocked(folder: Path) -> None:
    """Wait until nobody holds the stage's lock."""
    # The same flock as process.Lock's; its file is neither emptied nor removed (filelock 4).
    with contextlib.suppress(filelock.Timeout), filelock.FileLock(folder / ".lock", timeout=_LOCKED, poll_interval=0.1):
        pass


def _end(runner: subprocess.Popen[bytes]) -> None:
    """Stop the runner on the user's own interrupt; its child dies with it."""
    runner.kill()
    runner.wait()
