"""Errors that every floor may raise."""

from __future__ import annotations


class StageError(RuntimeError):
    """A stage cannot run or did not produce what it promised; the message says what to do."""
