"""``artefacts.json``: what a finished stage left, file by file, so that damage to it is seen before it is used.

The record is written last, so a stage folder that has one is finished. Of every file it holds size, time and a digest.
A look at a finished stage costs one ``stat`` per file: a file of the recorded size and time is taken for unchanged, as
make and git take it; where the time differs (a copy, a repair, an overwritten byte) the content is compared. Only
:func:`verify_artefacts` reads everything. Source: ours.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mindgpt_plugins.core.files import write_text
from mindgpt_plugins.core.schema import Strict, read_model
from mindgpt_plugins.core.state import recover_state

DONE = "artefacts.json"
DIGESTED = 64 << 20
"""Bytes up to which a file is digested when the stage ends; of a larger one (weights) it is the head until it is
verified: the digest of 60 GB takes minutes."""
HEAD = 1 << 20
"""Bytes at the beginning of a large file that are digested at once: safetensors keep their header there."""


class WrittenFile(Strict):
    """A file as the stage left it: bytes, time of its last change, SHA-256 of all of it and of its head."""

    size: int
    mtime_ns: int
    sha256: str = ""
    head: str = ""


class Artefact(Strict):
    """A file or folder that a stage offers: its path from the stage folder, and name below it → file.

    The one file of an artefact that is a file has the name ``""``.
    """

    path: str
    files: dict[str, WrittenFile]


class ArtefactRecord(Strict):
    """The content of ``artefacts.json``: name → artefact. A stage may promise none, but never leaves ``{}``."""

    artefacts: dict[str, Artefact]


@dataclass(frozen=True)
class Damage:
    """Files of a finished stage that are not as it left them.

    Attributes:
        folder: of the stage.
        artefact: whose file it is.
        path: of the first one.
        what: is wrong with it.
        more: others that are damaged.
    """

    folder: Path
    artefact: str
    path: Path
    what: str
    more: int = 0

    def __str__(self) -> str:
        others = f", and {self.more} more files" if self.more > 1 else ", and 1 more file" if self.more else ""
        return f"its artefact {self.artefact!r} is damaged: {self.path} {self.what}{others}"


def record_artefacts(folder: Path, promised: Mapping[str, str]) -> None:
    """Write the record that makes a stage folder a finished one.

    Args:
        folder: of the stage.
        promised: name → absolute path; each is there.
    """
    found = {
        name: Artefact(
            path=os.path.relpath(path, folder),
            files={below: stamp_written_file(file) for below, file in _list_files(Path(path))},
        )
        for name, path in promised.items()
    }
    _write(folder, found)


def stamp_written_file(path: Path) -> WrittenFile:
    """A file as it is now; a large one is on the disk then."""
    with path.open("rb") as file:
        stat = os.fstat(file.fileno())
        if stat.st_size > HEAD:
            # Weights must outlive a power loss. A hundred thousand pictures would take minutes, and one that is lost
            # is seen by its size.
            os.fsync(file.fileno())
    whole = stat.st_size <= DIGESTED
    return WrittenFile(
        size=stat.st_size,
        mtime_ns=stat.st_mtime_ns,
        sha256=_digest(path) if whole else "",
        head="" if whole else _digest_head(path),
    )


def recover_artefacts(folder: Path) -> Mapping[str, Artefact] | None:
    """Name → artefact of a stage folder; None when the stage is not finished, or its record cannot be read."""
    path = folder / DONE
    try:
        stat = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return _recover(path, stat.st_ino, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=64)  # one command asks many times, and a record of 100,000 pictures takes a second
def _recover(path: Path, *stamp: int) -> Mapping[str, Artefact] | None:
    record = recover_state(
        lambda: read_model(path, ArtefactRecord), "the stage counts as unfinished and goes on from its checkpoints"
    )
    return None if record is None else record.artefacts


def find_damage(folder: Path) -> Damage | None:
    """What is damaged in a finished stage folder, by size, time and, where that differs, content.

    A stage that is not finished has no damage, and files that came later are none.
    """
    return _damage(folder, recover_artefacts(folder) or {}, read_all=False)


def verify_artefacts(folder: Path) -> Damage | None:
    """As :func:`find_damage`, but every file is read; digests that the record lacks are added to it."""
    recorded = recover_artefacts(folder) or {}
    damage = _damage(folder, recorded, read_all=True)
    lacking = any(not one.sha256 for artefact in recorded.values() for one in artefact.files.values())
    if damage is None and lacking:
        whole = {}
        for name, artefact in recorded.items():
            files = {
                below: one if one.sha256 else one.model_copy(update={"sha256": _digest(folder / artefact.path / below)})
                for below, one in artefact.files.items()
            }
            whole[name] = artefact.model_copy(update={"files": files})
        _write(folder, whole)
    return damage


def find_file_damage(path: str | Path, written: WrittenFile, *, read_all: bool = False) -> str:
    """What is wrong with a file that was recorded; empty when nothing is.

    Args:
        path: of the file.
        written: as it was recorded.
        read_all: compare the content even if size and time are the same.
    """
    try:
        stat = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return "is missing"
    if stat.st_size != written.size:
        return f"has {stat.st_size:,} bytes instead of {written.size:,}"
    if stat.st_mtime_ns == written.mtime_ns and not read_all:
        return ""
    same = _digest(path) == written.sha256 if written.sha256 else _digest_head(path) == written.head
    return "" if same else "has other content than when the stage ended"


def _damage(folder: Path, recorded: Mapping[str, Artefact], read_all: bool) -> Damage | None:
    found: list[Damage] = []
    for name, artefact in recorded.items():
        path = os.path.join(folder, artefact.path)
        if not os.path.exists(path):
            found.append(Damage(folder, name, Path(path), "is missing"))
            continue
        for below, written in artefact.files.items():
            file = os.path.join(path, below) if below else path
            if what := find_file_damage(file, written, read_all=read_all):
                found.append(Damage(folder, name, Path(file), what))
    return replace(found[0], more=len(found) - 1) if found else None


def _write(folder: Path, found: dict[str, Artefact]) -> None:
    write_text(folder / DONE, ArtefactRecord(artefacts=found).model_dump_json(indent=1, exclude_defaults=True) + "\n")


def _list_files(path: Path) -> Iterator[tuple[str, Path]]:
    if path.is_file():
        yield "", path
        return
    for parent, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            file = Path(parent) / name
            # JSON has no place for a name that is not UTF-8; no stage of ours writes one.
            if file.is_file() and name == os.fsencode(name).decode("utf-8", "ignore"):
                yield str(file.relative_to(path)), file


def _digest(path: str | Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_head(path: str | Path) -> str:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read(HEAD)).hexdigest()
