"""A command's processes: what outlives a killed one is ended before the next one starts."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil

from mindgpt_plugins.core import process


def test_what_outlived_a_killed_command_is_ended_by_the_next(tmp_path: Path) -> None:
    bystander = subprocess.Popen(["sleep", "60"], cwd=tmp_path)
    first = process.start_command(["bash", "-c", "sleep 60 & echo $! > engine; wait"], folder=tmp_path, env={})
    engine = tmp_path / "engine"
    while not (engine.is_file() and engine.read_text()):
        time.sleep(0.02)
    orphan = psutil.Process(int(engine.read_text()))
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert orphan.is_running() and os.getsid(orphan.pid) == first.pid
    try:
        second = process.start_command(["true"], folder=tmp_path, env={})
        assert second.wait() == 0
        assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
        assert bystander.poll() is None  # works in the folder too, in a session of its own
    finally:
        bystander.kill()
        bystander.wait()
