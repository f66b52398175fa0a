"""What a rehearsal says about a stage: one line per thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["proven", "failed", "noted", "not on CPU"]
"""noted: nobody could prove it here, and it is no fault; the text says why."""


@dataclass(frozen=True)
class Finding:
    """One line.

    Attributes:
        stage: its stage; empty for the whole recipe.
        topic: in a word or two: ``resume``, ``weights``, ``rewards``, …
        state: see :data:`State`.
        text: what was seen, with its numbers; of a failure also what to do.
    """

    stage: str
    topic: str
    state: State
    text: str
