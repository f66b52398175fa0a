"""The process table before and after a command: a mark in its environment finds whatever it has started, anywhere."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Mapping

import psutil

_MARK = "MINDGPT_TEST_MARK"


def mark_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment with a new mark, which every process below the command inherits."""
    return {**os.environ, **(extra or {}), _MARK: uuid.uuid4().hex}


def list_marked(environment: Mapping[str, str]) -> list[psutil.Process]:
    """Living processes with the mark of an environment: in every session, under every parent."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(_MARK) == environment[_MARK] and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:  # it ended while we looked, or is another user's
            continue
    return found


def describe_left(environment: Mapping[str, str], seconds: float = 10.0) -> list[str]:
    """Command lines of marked processes that are still there after so many seconds, which are killed; else empty."""
    wait_until(lambda: not list_marked(environment), seconds)
    left = list_marked(environment)
    told = []
    for process in left:
        try:
            told.append(f"{process.pid} {' '.join(process.cmdline())[:200]}")
            process.kill()
        except psutil.Error:
            continue
    return told


def wait_until(true: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Wait for a condition; was it met in time?"""
    deadline = time.monotonic() + seconds
    while not (met := true()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return met
