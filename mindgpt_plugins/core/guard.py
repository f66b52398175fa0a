"""The guard of a command: a process that waits for it, hands signals on to it, and ends what is left of it.

A command's processes start others, some in sessions of their own (Ray), some that do not watch their parent (vLLM's
engine). All of them are descendants of the guard, also when those between have died: it is their subreaper. So it finds
them without a name or a record, and it ends them in three cases: the command has ended; it was asked to and has not in
time; whoever started the guard is gone, killed with ``kill -9`` for instance.

Also a program: ``python -I -S guard.py PARENT COMMAND …``. It knows the standard library only, so it starts in
milliseconds and takes a few megabytes.
"""

from __future__ import annotations

import ctypes
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Iterable
from types import FrameType

SAVING = 23.0
"""Seconds that a command which is asked to end may take to save; SLURM kills after 30, and ending takes time too."""
_SECOND, _LOOK, _LAST = 1.0, 0.2, 1.5
"""Seconds: between two Ctrl-C that are two; between two looks at the parent; for what is left to end by itself."""
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_libc = ctypes.CDLL(None)


def list_stop_signals() -> list[signal.Signals]:
    """INT, TERM and HUP, less those that this process was started to ignore (``nohup``, ``&`` in a script)."""
    asked = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    return [one for one in asked if signal.getsignal(one) != signal.SIG_IGN]


def continue_under_guard() -> None:
    """Return in a child process that has a guard, and let this process wait and end as the child does.

    Three processes: this one, which the user and the terminal know; the guard, in a session of its own, so that what
    kills this one leaves it alive; and the command. To be called early: what is in memory is there three times.
    """
    if sys.platform != "linux":  # no subreaper there
        return
    mask = _hold_signals()
    front, others = os.getpid(), list_descendants(os.getpid())  # not ours: of the script that became this process
    guard = _fork_command()
    if guard:
        status = _watch(guard, parent=None, spared=others)
        if status < 0:
            write_message(f"mindgpt was killed by signal {-status}; the same command goes on from what is done\n")
        os._exit(status if status >= 0 else 128 - status)
    os.setsid()
    command = _fork_command()
    if command:
        # It may have to wait for the guard of a stage, which takes as long.
        _exit_like(_watch(command, parent=front, patience=SAVING + _LAST))
    _begin_command(guard=os.getppid(), mask=mask)


def exit_on_signals() -> None:
    """Let this process unwind and exit with 128 plus the signal's number on INT, TERM or HUP, and say so in one line.

    As after any exception, ``finally`` and ``with`` save what is to be saved; a second signal does not disturb them.
    """
    own = os.getpid()

    def leave(number: int, frame: FrameType | None) -> None:
        for one in stops:
            signal.signal(one, lambda number, frame: None)
        name = signal.Signals(number).name
        if os.getpid() == own:  # and no forked child
            write_message(f"{name}: stopping within 30 s; what is done is kept, the same command goes on from it\n")
        raise SystemExit(128 + number)

    stops = list_stop_signals()
    for one in stops:
        signal.signal(one, leave)


def die_with_parent(parent: int) -> None:
    """Have this process killed when its parent dies, and end it where that has happened already."""
    _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:
        os._exit(1)


def list_descendants(root: int, spared: Iterable[int] = ()) -> list[int]:
    """Processes below ``root`` that have not ended, less those of ``spared``."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb") as file:
                    stat = file.read()
            except OSError:  # it ended while we looked
                continue
            state, parent = stat[stat.rindex(b")") + 2 :].split()[:2]
            if state != b"Z":
                children.setdefault(int(parent), []).append(int(entry))
    found, below = [], [root]
    while below:
        new = [child for child in children.get(below.pop(), ()) if child not in spared]
        found += new
        below += new
    return found


def _hold_signals() -> set[int]:
    """Keep signals until they are asked for; the mask of before."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # inherited as ignored, the kernel would reap and tell no status
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, [*list_stop_signals(), signal.SIGCHLD]))


def _fork_command() -> int:
    """Fork, with this process as the new parent of whatever loses its own below the child."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    return os.fork()


def _begin_command(*, guard: int, mask: set[int]) -> None:
    """What the command's process does first: it leaves the terminal's group and dies with its guard."""
    os.setsid()
    die_with_parent(guard)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _watch(child: int, *, parent: int | None, patience: float = math.inf, spared: Iterable[int] = ()) -> int:
    """Wait for a child, end what it leaves, and return its status: an exit code, or minus the signal that killed it.

    A child that was asked to end and did not end well has 128 plus the signal's number for its exit code.

    Args:
        child: its process.
        parent: when this process is gone, the child and everything below are killed; None: the child sees to that.
        patience: seconds from the first signal until they are killed as well.
        spared: children that are none of this command.
    """
    stops = list_stop_signals()
    asked, since, status = 0, math.inf, None
    while status is None:
        come = signal.sigtimedwait([*stops, signal.SIGCHLD], _LOOK)
        status = _reap(child)
        now = time.monotonic()
        again = False
        if come is not None and come.si_signo in stops:
            # Only the keyboard's counts as a second one: SLURM and timeout(1) tell a process and its parent.
            again = come.si_signo == signal.SIGINT and now - since > _SECOND
            if status is None and (not asked or (parent is None and come.si_signo == signal.SIGINT)):
                _send(child, come.si_signo)
            if not asked:
                asked, since = come.si_signo, now
        lost = parent is not None and (os.getppid() != parent or now - since > patience or again)
        if status is None and lost:
            status = _end_descendants(child, spared, abrupt=True)
    _end_descendants(child, spared, abrupt=status < 0)
    return 128 + asked if asked and status else status


def _reap(child: int) -> int | None:
    """Take up every child that has ended, orphans included; the status of ``child`` when it is among them."""
    status = None
    while True:
        try:
            pid, code = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == 0:
            return status
        if pid == child:
            status = os.waitstatus_to_exitcode(code)


def _end_descendants(child: int, spared: Iterable[int], *, abrupt: bool) -> int:
    """Ask everything below to end, or kill it at once, and kill what is there seconds later.

    Returns:
        Status of ``child``; as if killed when it ended before.
    """
    status = -int(signal.SIGKILL)
    told: set[int] = set()
    deadline = time.monotonic() + _LAST
    while left := list_descendants(os.getpid(), spared):
        late = time.monotonic() > deadline
        if time.monotonic() > deadline + _LAST:
            break  # another user's, or stuck in the kernel
        for pid in left:
            # multiprocessing's resource tracker is deaf to TERM, and removes semaphores when all others are gone.
            if late or (abrupt and not _ignores_term(pid)):
                _send(pid, signal.SIGKILL)
            elif not abrupt and pid not in told:
                _send(pid, signal.SIGTERM)
                told.add(pid)
        time.sleep(0.02)
        found = _reap(child)
        status = status if found is None else found
    _reap(child)
    return status


def _ignores_term(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            ignored = next((line.split()[1] for line in file if line.startswith("SigIgn:")), "0")
    except OSError:
        return False
    return bool(int(ignored, 16) >> (signal.SIGTERM - 1) & 1)


def _send(pid: int, sent: int) -> None:
    try:
        os.kill(pid, sent)
    except (ProcessLookupError, PermissionError):
        return


def write_message(told: str) -> None:
    """Write to stderr if anybody still reads it; also from a signal handler, where ``print`` may not be re-entered."""
    try:
        os.write(2, told.encode())
    except OSError:  # the terminal is gone
        return


def _exit_like(status: int) -> None:
    """End with an exit code, or by the signal that killed the command, so that the parent sees what happened to it."""
    if status >= 0:
        os._exit(status)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if -status not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(-status, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [-status])
    os.kill(os.getpid(), -status)
    os._exit(128 - status)  # a signal that kills nobody


def main(argv: list[str]) -> None:
    """Run ``argv[1:]`` under this process, which ends as it does; ``argv[0]``: the process to die with."""
    parent, command = int(argv[0]), argv[1:]
    mask = _hold_signals()
    if os.getppid() != parent:
        os._exit(1)
    child = _fork_command()
    if child:
        _exit_like(_watch(child, parent=parent, patience=SAVING))
    _begin_command(guard=os.getppid(), mask=mask)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        write_message(f"{command[0]}: {error.strerror}\n")
        os._exit(127)


if __name__ == "__main__":
    main(sys.argv[1:])
