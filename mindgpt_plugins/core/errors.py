"""Errors that every floor may raise."""

from __future__ import annotations


class StageError(RuntimeError):
    """A stage cannot run or did not produce what it promised; the message says what to do."""


class InputError(ValueError):
    """What was read is larger or deeper than anything that is meant, or of another shape; the message says which."""
