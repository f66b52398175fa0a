"""What must survive a kill: fingerprints of a stage's files, and which of them are others afterwards."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def fingerprint_files(folder: Path, files: Iterable[Path]) -> dict[str, Any]:
    """Fingerprints of the files that are there: name → digest of bytes that the resumed run may not change.

    Args:
        folder: of the stage.
        files: in it; of ``.jsonl`` only whole lines count, because more may follow.
    """
    found = {}
    for path in files:
        if path.is_file():
            size = path.read_bytes().rfind(b"\n") + 1 if path.suffix == ".jsonl" else path.stat().st_size
            written = path.stat().st_mtime_ns if path.suffix != ".jsonl" else None
            found[str(path.relative_to(folder))] = {"bytes": size, "digest": _digest(path, size), "written": written}
    return found


def find_changed_files(folder: Path, before: dict[str, Any]) -> list[str]:
    """Names of :func:`fingerprint_files` files that are gone, have other first bytes, or were written again."""
    lost = []
    for name, was in before.items():
        path = folder / name
        same = path.is_file() and _digest(path, was["bytes"]) == was["digest"]
        if not same or was["written"] not in (None, path.stat().st_mtime_ns):
            lost.append(name)
    return lost


def _digest(path: Path, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.sha256(file.read(size)).hexdigest()[:16]
