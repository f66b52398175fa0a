"""Guarded patches of the hosts, one per file; each reports applied or not needed, or refuses. See ``PATCHES.md``."""

from dataclasses import dataclass
from typing import Literal


class PatchRefused(RuntimeError):
    """The host is not the one a patch was written for; a requested patch never skips silently."""


@dataclass(frozen=True)
class PatchOutcome:
    """What came of a patch in a run; written to the stage's ``patches.json``.

    Attributes:
        name: the patch's.
        state: what happened.
        reason: why, or where it applies.
        parity: its certificate: relative errors of ``loss`` and ``gradients`` against what it replaces, in float32 on a
            small model; ``None`` where nothing is computed.
    """

    name: str
    state: Literal["applied", "not needed", "refused", "off"]
    reason: str = ""
    parity: dict[str, float] | None = None
