"""A helper process that answers questions in JSON, one line each: for imports that must not stay in this one."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import tempfile
from collections import deque
from collections.abc import Mapping
from typing import Any

PATIENCE = 300.0
"""Seconds that an answer may take, imports on a busy machine included."""


class HelperError(RuntimeError):
    """The process ended without an answer; the message carries the end of what it wrote."""


class JsonProcess:
    """A process that is started at the first question and again when it has ended in between.

    Args:
        argv: of a program that reads a JSON object per line and answers with one, and ends when its input does.
        env: variables on top of this process's; a value of ``None`` takes one away.
    """

    def __init__(self, argv: list[str], env: Mapping[str, str | None]):
        self.argv = argv
        self.env = {key: value for key, value in {**os.environ, **env}.items() if value is not None}
        self._child: subprocess.Popen[str] | None = None

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a question.

        Raises:
            HelperError: the process could not be started, ended without an answer, or gave none in time.
        """
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
            answer = self._try(question, said) or self._try(question, said)  # once more: it may have ended of idleness
            if answer is not None:
                return answer
            said.seek(0)
            last = " ".join(" ".join(deque(said, maxlen=3)).split())
        raise HelperError(f"{' '.join(self.argv)} gave no answer{f': {last}' if last else ''}")

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            assert self._child.stdin is not None and self._child.stdout is not None
            self._child.stdout.close()
            with contextlib.suppress(BrokenPipeError):
                self._child.stdin.close()
            self._child.kill()
            self._child.wait()
            self._child = None

    def _try(self, question: Mapping[str, Any], said: Any) -> dict[str, Any] | None:
        if self._child is None:
            try:
                self._child = subprocess.Popen(
                    self.argv, env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True
                )
            except OSError as error:
                said.write(str(error))
                return None
        assert self._child.stdin is not None and self._child.stdout is not None
        try:
            print(json.dumps(question), file=self._child.stdin, flush=True)
            if not select.select([self._child.stdout], [], [], PATIENCE)[0]:
                self.close()
                raise HelperError(f"{' '.join(self.argv)} gave no answer within {PATIENCE:g} s")
            line = self._child.stdout.readline()
        except OSError:
            line = ""
        if not line:
            self.close()
            return None
        answer: dict[str, Any] = json.loads(line)
        return answer
