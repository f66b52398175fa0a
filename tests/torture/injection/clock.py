"""Every file is moved ten days ahead: so a clock set back looks to the next start. The clock itself is not touched."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

from injection.kinds import Kind
from injection.place import Straight
from injection.trial import Trial

AHEAD = 10 * 24 * 3600 * 10**9
"""Ten days in nanoseconds."""


def try_clock_back(kind: Kind, straight: Straight, folder: Path, moments: random.Random) -> Iterator[Trial]:
    """Move every file ten days ahead in the middle of a stage, and once more when it is done."""
    place = straight.lay_out(kind, folder)
    run = place.start()
    run.wait(moments.uniform(0.4, 0.8) * straight.seconds[kind.stage])
    run.process.kill()
    run.process.wait()
    failures = run.judge(0)
    set_files_ahead(place.runs)
    failures += [*place.finish().must_succeed(), *place.compare(kind, straight)]
    yield Trial("in the middle of the stage", failures)
    done = place.locate_stage(kind.stage)
    set_files_ahead(place.runs)
    failures = place.finish().must_succeed()
    if place.locate_stage(kind.stage) != done:
        failures.append("lost: a whole stage was made again")
    yield Trial("after the stage", failures + place.compare(kind, straight))


def set_files_ahead(folder: Path) -> None:
    """Give every file and folder below one the time that it would have, had the clock been ten days ahead."""
    for path in folder.rglob("*"):
        if not path.is_symlink() and path.stat().st_mtime < time.time():
            stat = path.stat()
            os.utime(path, ns=(stat.st_atime_ns + AHEAD, stat.st_mtime_ns + AHEAD))
