"""What can be wrong with a question's gold answer or with the options of a verdict; a reply is never an error."""

from __future__ import annotations


class GoldError(ValueError):
    """A gold answer is none of its type; the message names the value, the type and the fix.

    It is an error and no wrong verdict: a row that no reply can answer would score 0 for ever, unseen.
    """


class MathError(RuntimeError):
    """``math-verify`` is missing, or its process does not start."""
