"""Mounted so that they take no writing: the stage's inputs (which must not matter), all runs (which must be said)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from injection.kinds import Kind
from injection.mounts import make_read_only
from injection.place import Straight
from injection.trial import Trial


def try_read_only(kind: Kind, straight: Straight, folder: Path, moments: random.Random) -> Iterator[Trial]:
    """Runs that cannot be written; inputs that cannot; a finished run that cannot."""
    place = straight.lay_out(kind, folder)
    place.runs.mkdir(exist_ok=True)
    with make_read_only(place.runs):
        ended = place.finish()
    told = ended.status and "Read-only file system" in ended.said and str(place.runs) in ended.said
    yield Trial("runs read-only", [*ended.failures, *([] if told else [f"silent: {ended.said[-300:]!r}"])])
    with make_read_only(*(place.locate_stage(name) for name in kind.reads)):
        ended = place.finish()
    inputs = [*ended.must_succeed(), *place.compare(kind, straight)]
    yield Trial("inputs read-only" if kind.reads else "writable again", inputs, counts=bool(kind.reads))
    with make_read_only(place.runs):
        planned, ended = place.finish("--dry-run"), place.finish()
    failures = [*planned.must_succeed(), *ended.failures]
    if ended.status and "Read-only file system" not in ended.said:
        failures.append(f"silent: {ended.said[-300:]!r}")
    yield Trial("finished run read-only", failures)
