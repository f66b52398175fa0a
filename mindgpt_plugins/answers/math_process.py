"""The process that asks ``math-verify`` whether two expressions are equal, and can be killed.

SymPy can run for minutes on a hostile expression (``9^{9^{9^9}}``), and math-verify's own limit is a signal, which only
works in a main thread; reward workers run in others. So one helper process per worker answers over a pipe, has the
signal in its main thread, and is killed and replaced when even that does not stop it. It also keeps SymPy's import
(about a second) and memory out of the worker.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import selectors
import subprocess
import sys
import threading
import time
from typing import Any

from mindgpt_plugins.answers.errors import GoldError, MathError

LIMIT = 2.0
"""Seconds for one comparison; an expression that needs longer is not the answer."""
START = 60.0
"""Seconds for the helper to import SymPy on a busy machine."""


class MathProcess:
    """The other process; one request at a time."""

    def __init__(self) -> None:
        if importlib.util.find_spec("math_verify") is None:
            raise MathError("answer_type 'math' needs math-verify: pip install 'mindgpt-plugins[rl]' (or math-verify)")
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def compare(self, got: str, want: str) -> bool:
        """Ask the process, starting it when needed.

        Raises:
            MathError: it does not start.
            GoldError: it cannot read the gold answer.
        """
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._start()
            # Its own signal comes first; twice that means it is stuck where signals do not reach it.
            found = self._ask({"got": got, "want": want, "limit": LIMIT}, 4 * LIMIT)
        if found is None:
            return False
        if found.get("error"):
            raise GoldError(
                f"gold answer {want!r} of answer_type 'math' cannot be read by math-verify: {found['error']}"
            )
        return bool(found["same"])

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mindgpt_plugins.answers.math_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        if self._ask({"ping": True}, START) is None:
            raise MathError("the process for math-verify did not start within a minute; its error is above in the log")

    def _ask(self, question: dict[str, Any], seconds: float) -> dict[str, Any] | None:
        """Its answer; None, and the process gone, when there is none in time."""
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps(question).encode() + b"\n")
            process.stdin.flush()
            line = _line(process.stdout.fileno(), seconds)
        except BrokenPipeError:
            line = b""
        if not line.endswith(b"\n"):
            self.close()
            return None
        found: dict[str, Any] = json.loads(line)
        return found


def _line(descriptor: int, seconds: float) -> bytes:
    deadline, line = time.monotonic() + seconds, b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(max(0.0, deadline - time.monotonic())):
                return line
            part = os.read(descriptor, 65536)
            if not part:
                return line
            line += part
    return line


_started: dict[int, MathProcess] = {}
_starting = threading.Lock()


def get_math_process() -> MathProcess:
    """The helper of this process, started by whichever thread asks first; a forked child gets its own.

    Raises:
        MathError: math-verify is not installed.
    """
    with _starting:
        if os.getpid() not in _started:
            helper = MathProcess()
            atexit.register(helper.close)
            _started[os.getpid()] = helper
    return _started[os.getpid()]
