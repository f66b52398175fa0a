"""An artefact cut, deleted, one byte of it flipped (``--verify``); ``stage.json`` empty; garbage in other records."""

from __future__ import annotations

import os
import random
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from injection.kinds import Kind
from injection.place import Place, Straight
from injection.trial import Trial

GARBAGE = b'{"stages": [\x00\xff'


def try_damage(kind: Kind, straight: Straight, folder: Path, moments: random.Random) -> Iterator[Trial]:
    """Five kinds of damage, each to a whole copy of the finished stage.

    Artefacts are made again after the first one only: after the next two it must say that they would be. A kind that is
    not cheap is not gone on with from its checkpoints either.
    """
    finished = [truncate, empty_record, *([spoil_records] if kind.thorough else [])]
    for number, (what, spoil) in enumerate(DAMAGES.items()):
        here = folder / str(number)
        place = straight.lay_out(kind, here, finished=True)
        failures = place.finish().must_succeed()  # reused, which writes the manifest of this place
        files = [path for path in place.list_artefacts(kind.stage).values() if path.stat().st_size > 8]
        named = spoil(place, kind, max(files, key=lambda path: path.stat().st_size))
        options = ["--verify"] if spoil is flip_byte else []
        planned = place.finish("--dry-run", *options)
        failures += planned.must_succeed()
        failures += [f"silent: {path.name} is not named" for path in named if str(path) not in planned.said]
        decided = re.search(rf"{kind.stage} .*?│ *(reuse|resume|run) ", planned.said)
        if spoil in (truncate, delete, flip_byte) and (decided is None or decided[1] != "run"):
            failures.append(f"silent: {kind.stage} is to be {decided[1] if decided else 'nothing'}")
        if spoil in finished:
            failures += place.finish().must_succeed() + place.compare(kind, straight)
        yield Trial(what, failures)
        shutil.rmtree(here)


def truncate(place: Place, kind: Kind, file: Path) -> list[Path]:
    """Cut the largest artefact file to its half."""
    os.truncate(file, file.stat().st_size // 2)
    return [file]


def delete(place: Place, kind: Kind, file: Path) -> list[Path]:
    """Remove the largest artefact file."""
    file.unlink()
    return [file]


def flip_byte(place: Place, kind: Kind, file: Path) -> list[Path]:
    """Change one byte in the middle; size and time stay as they are."""
    stat = file.stat()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    return [file]


def empty_record(place: Place, kind: Kind, file: Path) -> list[Path]:
    """Empty ``stage.json``."""
    path = place.locate_stage(kind.stage) / "stage.json"
    path.write_bytes(b"")
    return [path]


def spoil_records(place: Place, kind: Kind, file: Path) -> list[Path]:
    """Garbage in ``artefacts.json`` and in ``manifest.json``."""
    paths = [place.locate_stage(kind.stage) / "artefacts.json", (place.runs / "torture").resolve() / "manifest.json"]
    for path in paths:
        path.write_bytes(GARBAGE)
    return paths


DAMAGES: dict[str, Callable[[Place, Kind, Path], list[Path]]] = {
    "artefact truncated": truncate,
    "artefact deleted": delete,
    "a byte flipped": flip_byte,
    "stage.json empty": empty_record,
    "garbage in artefacts.json and manifest.json": spoil_records,
}
