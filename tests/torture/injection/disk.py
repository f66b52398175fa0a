"""The runs folder lies on a small disk that ends somewhere in the stage, again and again, and then has room."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

from injection.kinds import Kind
from injection.mounts import mount_disk, resize_disk
from injection.place import Straight
from injection.trial import Trial


def try_full_disk(kind: Kind, straight: Straight, folder: Path, moments: random.Random) -> Iterator[Trial]:
    """Let the same attempt meet the end of several disks, each larger than the one before; then give it space."""
    needed = sum(path.stat().st_blocks * 512 for path in straight.locate_stage(kind.stage).rglob("*"))
    with mount_disk(folder):
        place = straight.lay_out(kind, folder)
        stat = os.statvfs(folder)
        used = (stat.f_blocks - stat.f_bfree) * stat.f_frsize
        for share in (0.0, 0.25, 0.6) if kind.thorough else (0.0, 0.4):
            room = (int(share * needed) // 4096 + 8) * 4096  # what is printed goes to this disk too
            resize_disk(folder, used + room)
            ended = place.finish()
            failures = ended.failures
            if ended.status:
                told = "No space left on device" in ended.said and str(place.runs) in ended.said
                failures += [] if told else [f"silent: not told that the disk is full: {ended.said[-300:]}"]
            fit = "" if ended.status else ", which was enough"
            yield Trial(f"{room >> 10} of {needed >> 10} kB free{fit}", failures, counts=bool(ended.status))
        resize_disk(folder, None)
        ended = place.finish()
        yield Trial("with space again", [*ended.must_succeed(), *place.compare(kind, straight)], counts=False)
