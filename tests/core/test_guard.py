"""A command under its guard: however it ends, no process of it is left, wherever it has hidden."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support.process_table import describe_left, list_marked, mark_environment, wait_until

from mindgpt_plugins.core import guard, process

# Leaves behind what a trainer with Ray and vLLM does: a daemon in a session of its own that ignores what it can, under
# a parent that is gone, a plain child, and a pool whose resource tracker ignores TERM.
HIDING = """
import multiprocessing, os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    for one in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(one, signal.SIG_IGN)
    if os.fork() == 0:
        open("daemon", "w").write(str(os.getpid()))
        time.sleep(100)
    os._exit(0)
if os.fork() == 0:
    time.sleep(100)
multiprocessing.get_context("spawn").Semaphore(1)
"""
# The same with a daemon that listens: quicker to end.
LISTENING = HIDING.replace("signal.signal(one, signal.SIG_IGN)", "pass")
SAVING = """
def save(number, frame):
    open("saved", "w").write(signal.Signals(number).name)
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
"""
WAITING = """
open("ready", "w")
time.sleep(100)
"""
# What the console entry does.
GUARDED = "from mindgpt_plugins.core import guard\nguard.continue_under_guard()\nguard.exit_on_signals()\n"
ENDS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGKILL: -9, signal.SIGQUIT: -3}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    made = mark_environment()
    for name, value in made.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MINDGPT_TEST_MARK")
    yield made
    assert describe_left(made, 0.0) == []


def start(folder: Path, environment: dict[str, str], code: str) -> subprocess.Popen[bytes]:
    """A command as from a shell: in the foreground of a terminal's session."""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        stderr=open(folder / "said", "wb"),
        start_new_session=True,
        # pytest may have been started in the background, where these are ignored.
        preexec_fn=lambda: [signal.signal(one, signal.SIG_DFL) for one in (signal.SIGINT, signal.SIGQUIT)],
    )


@pytest.mark.parametrize("sent", ENDS)
def test_nothing_is_left_whatever_signal_ends_a_command(tmp_path: Path, environment, sent: signal.Signals) -> None:
    command = start(tmp_path, environment, GUARDED + HIDING + "try:\n  open('ready', 'w'); time.sleep(100)\n"
                    "finally:\n  open('finished', 'w')\n")  # fmt: skip
    assert wait_until(lambda: (tmp_path / "ready").exists() and (tmp_path / "daemon").exists())
    assert len(list_marked(environment)) == 6  # the front, its guard, the command, child, daemon, tracker
    command.send_signal(sent)
    assert command.wait(30) == ENDS[sent]
    assert describe_left(environment) == []
    said = (tmp_path / "said").read_text()
    if ENDS[sent] > 0:
        assert said.count("\n") == 1 and said.startswith(f"{sent.name}: stopping") and "goes on" in said
        assert (tmp_path / "finished").exists()


def test_nothing_is_left_when_the_terminal_is_closed(tmp_path: Path, environment) -> None:
    keyboard, screen = pty.openpty()
    command = subprocess.Popen(
        [sys.executable, "-c", GUARDED + LISTENING + WAITING],
        cwd=tmp_path,
        env=environment,
        stdin=screen,
        stdout=screen,
        stderr=screen,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(screen)
    assert wait_until(lambda: (tmp_path / "ready").exists() and (tmp_path / "daemon").exists())
    os.close(keyboard)
    assert command.wait(30) == 129 and list_marked(environment) == []


def test_a_command_that_ends_by_itself_leaves_nothing_and_its_status_is_kept(tmp_path: Path, environment) -> None:
    assert start(tmp_path, environment, GUARDED + LISTENING + "sys.exit(7)").wait(30) == 7
    assert list_marked(environment) == []
    killed = start(tmp_path, environment, GUARDED + LISTENING + "os.kill(os.getpid(), 9)")
    assert killed.wait(30) == 137 and list_marked(environment) == []
    assert (tmp_path / "said").read_text().startswith("mindgpt was killed by signal 9")


def test_a_command_under_a_guard_blocks_no_signals(tmp_path: Path, environment) -> None:
    """The mask is inherited by everything that the command starts."""
    code = "import signal, sys\nsys.exit(len(signal.pthread_sigmask(signal.SIG_BLOCK, ())))"
    assert start(tmp_path, environment, GUARDED + code).wait(30) == 0
    assert process.start_command([sys.executable, "-c", code], folder=tmp_path, env={}).wait(30) == 0


@pytest.mark.parametrize("which", [1, 2])  # of front, guard, command
def test_nothing_is_left_when_the_guard_or_the_command_is_killed(tmp_path: Path, environment, which: int) -> None:
    command = start(tmp_path, environment, GUARDED + LISTENING + WAITING)
    assert wait_until(lambda: (tmp_path / "ready").exists() and (tmp_path / "daemon").exists())
    chain = psutil.Process(command.pid)
    for _ in range(which):
        chain = min(chain.children(), key=lambda one: one.pid)
    chain.kill()
    assert command.wait(30) == 137 and describe_left(environment) == []


def test_signals_ignored_from_the_start_stay_ignored(tmp_path: Path, environment) -> None:
    """As under nohup."""
    code = "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + GUARDED + "import time\n" + WAITING
    command = start(tmp_path, environment, code)
    assert wait_until((tmp_path / "ready").exists)
    command.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        command.wait(0.6)
    command.send_signal(signal.SIGTERM)
    assert command.wait(30) == 143


def test_a_process_that_the_front_already_had_is_none_of_the_command(tmp_path: Path, environment) -> None:
    shell = f"sleep 100 & echo $! > own; exec {sys.executable} -c 'import sys; exec(sys.argv[1])' \"$0\""
    done = subprocess.run(["bash", "-c", shell, GUARDED + LISTENING], cwd=tmp_path, env=environment, timeout=60)
    (left,) = list_marked(environment)
    assert done.returncode == 0 and left.pid == int((tmp_path / "own").read_text())
    left.kill()


def test_a_started_command_saves_on_stop_and_leaves_nothing(tmp_path: Path, environment) -> None:
    lock = process.Lock(tmp_path)
    mark = {"MINDGPT_TEST_MARK": environment["MINDGPT_TEST_MARK"]}
    argv = [sys.executable, "-c", LISTENING + SAVING + WAITING]
    child = process.start_command(argv, folder=tmp_path, env=mark, pass_fds=(lock.descriptor,))
    lock.release()
    assert wait_until(lambda: (tmp_path / "ready").exists() and (tmp_path / "daemon").exists())
    with pytest.raises(RuntimeError, match="in use by another run"):
        process.Lock(tmp_path)
    process.stop_command(child)
    assert (tmp_path / "saved").read_text() == "SIGTERM"
    assert list_marked(environment) == []
    process.Lock(tmp_path).release()


@pytest.mark.parametrize(("code", "status"), [("exit 3", 3), ("kill -SEGV $$", -11), ("kill -9 $$", -9)])
def test_a_started_command_ends_under_its_guard_as_without(tmp_path: Path, environment, code: str, status: int) -> None:
    assert process.start_command(["bash", "-c", code], folder=tmp_path, env={}).wait(30) == status


def test_a_command_that_does_not_save_in_time_is_killed(tmp_path: Path, environment) -> None:
    stubborn = HIDING + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + WAITING
    code = "import sys\nfrom mindgpt_plugins.core import guard\nguard.SAVING = 0.3\nguard.main(sys.argv[1:])"
    argv = [sys.executable, "-c", code, str(os.getpid()), sys.executable, "-c", stubborn]
    child = subprocess.Popen(argv, cwd=tmp_path, env=environment)
    assert wait_until(lambda: (tmp_path / "ready").exists() and (tmp_path / "daemon").exists())
    child.terminate()
    assert child.wait(30) == 143 and list_marked(environment) == []


def test_a_second_interrupt_from_the_keyboard_does_not_wait(tmp_path: Path, environment) -> None:
    slow = GUARDED + LISTENING + "try:\n  open('ready', 'w'); time.sleep(100)\nfinally:\n  time.sleep(100)\n"
    command = start(tmp_path, environment, slow)
    assert wait_until(lambda: (tmp_path / "ready").exists() and (tmp_path / "daemon").exists())
    command.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        command.wait(1.2)
    command.send_signal(signal.SIGINT)
    assert command.wait(20) == 130 and list_marked(environment) == []


def test_descendants_are_found_under_any_name(tmp_path: Path, environment) -> None:
    (tmp_path / "a) S 1 (b").symlink_to("/bin/sleep")
    child = subprocess.Popen([str(tmp_path / "a) S 1 (b"), "100"])
    try:
        assert child.pid in guard.list_descendants(os.getpid())
        assert child.pid not in guard.list_descendants(os.getpid(), [child.pid])
    finally:
        child.kill()
        child.wait()
