"""Names in a datasets folder, and how its files are replaced."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

INFO = "dataset_info.json"
LABELS = ("uid", "source", "knowledge", "capability", "ids", "difficulty", "type", "twin_uid", "split")
"""Fields of a row that stand beside the messages for whoever mixes, weights or reports."""


def write(path: Path, content: str | bytes | Iterable[str]) -> None:
    """Replace a file in one move; text may come in pieces."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    if isinstance(content, bytes):
        aside.write_bytes(content)
    else:
        with aside.open("w", encoding="utf-8") as file:
            file.writelines([content] if isinstance(content, str) else content)
    os.replace(aside, path)


def read_info(folder: Path) -> dict[str, Any]:
    """``dataset_info.json``, empty when there is none."""
    path = folder / INFO
    known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return known


def list_set(folder: Path, name: str, entry: dict[str, Any] | None) -> None:
    """Add a set to ``dataset_info.json``, or with None take it out."""
    known = read_info(folder)
    if entry is None:
        known.pop(name, None)
    else:
        known[name] = entry
    write(folder / INFO, json.dumps(known, indent=1) + "\n")
