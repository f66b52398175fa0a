"""One child process of a stage: environment, log, guard, memory."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import psutil

from mindgpt_plugins.core import guard


def build_child_environment(*, cpu: bool, offline: bool, extra: Mapping[str, str]) -> dict[str, str]:
    """Variables a stage's processes get on top of the user's environment.

    On CPU the folder with our ``sitecustomize`` goes in front of ``PYTHONPATH`` (see ``mindgpt_patches.cpu``), so Ray
    workers and torchrun ranks inherit it. On an accelerator nothing is changed.
    """
    additions = {"TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1"}
    if offline:
        additions["HF_HUB_OFFLINE"] = "1"
    if cpu:
        # Waiting OpenMP threads sleep instead of spinning: on a laptop whose cores do something else as well, spinning
        # made tokenising ten times slower, and RL runs several torch processes side by side anyway.
        additions["OMP_WAIT_POLICY"] = os.environ.get("OMP_WAIT_POLICY", "PASSIVE")
        from mindgpt_patches.cpu import SITE

        rest = extra.get("PYTHONPATH") or os.environ.get("PYTHONPATH", "")
        kept = [entry for entry in rest.split(os.pathsep) if entry and Path(entry) != SITE]
        additions["PYTHONPATH"] = os.pathsep.join([str(SITE), *kept])
    return {**additions, **{k: v for k, v in extra.items() if not (cpu and k == "PYTHONPATH")}}


class Lock:
    """An advisory lock on a stage folder, held by the runner and by the stage's process.

    The child inherits the descriptor, so a stage whose runner died but which is still ending keeps its folder. That is
    why this is not ``filelock``, as elsewhere: its descriptor closes on exec, and its owner could not be named.
    """

    def __init__(self, folder: Path):
        # Unbuffered: on a full disk a buffer would fail once more when the lock is given back.
        self._file: IO[bytes] = open(folder / ".lock", "a+b", buffering=0)  # noqa: SIM115 - lives as long as the lock
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            owner = self._file.read().decode(errors="replace").strip() or "unknown"
            self._file.close()
            raise RuntimeError(
                f"{folder} is in use by another run (process {owner}); wait for it or stop it, then run again"
            ) from None
        self._file.truncate(0)
        with contextlib.suppress(OSError):  # the lock holds without its owner's name
            self._file.write(f"{os.getpid()}\n".encode())

    @property
    def descriptor(self) -> int:
        """File descriptor to pass to the child."""
        return self._file.fileno()

    def release(self) -> None:
        """Give the folder back."""
        self._file.close()

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def run_command(
    argv: list[str],
    *,
    folder: Path,
    env: Mapping[str, str],
    lock: Lock,
    tick: Callable[[int], None],
    interval: float = 0.5,
) -> tuple[int, int]:
    """Run a command to its end, calling ``tick(peak_bytes)`` now and then.

    When this process dies, however it dies, so does everything that the command has started.

    Returns:
        Exit status and peak memory (bytes) of the process tree: the largest sum of proportional set sizes seen.
    """
    child = start_command(argv, folder=folder, env=env, pass_fds=(lock.descriptor,))
    peak, next_look = 0, 0.0
    try:
        while child.poll() is None:
            if time.monotonic() >= next_look:
                began = time.monotonic()
                peak = max(peak, measure_tree_memory(child.pid))
                # Reading the page maps of a Ray cluster takes a second of CPU: spend at most 2 % of the time on it.
                next_look = time.monotonic() + max(2.0, 50 * (time.monotonic() - began))
            tick(peak)
            time.sleep(interval)
    except BaseException:
        stop_command(child)
        raise
    tick(peak)
    return child.returncode, peak


def start_command(
    argv: list[str], *, folder: Path, env: Mapping[str, str], pass_fds: tuple[int, ...] = ()
) -> subprocess.Popen[bytes]:
    """Start a command in ``folder`` that writes to its ``log.txt``, under a guard (:mod:`.guard`), which is returned.

    The guard ends as the command does, and only when no process of it is left.
    """
    with open(folder / "log.txt", "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__, str(os.getpid()), *argv],
            cwd=folder,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=pass_fds,
        )


def stop_command(child: subprocess.Popen[Any]) -> None:
    """Ask a command to save what it can and to end, and wait until no process of it is left.

    Its guard makes it end after :data:`.guard.SAVING` seconds.
    """
    child.terminate()
    child.wait()


def measure_tree_memory(pid: int) -> int:
    """Memory (bytes, proportional set size, so shared pages count once) of a process and its descendants."""
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.Error:
        return 0
    total = 0
    for process in family:
        try:
            total += int(process.memory_full_info().pss)
        except psutil.Error:  # it ended while we looked, which is not a fault
            continue
    return total
