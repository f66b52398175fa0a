"""Names in a datasets folder, and the list of its sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mindgpt_plugins.core.files import read_json, write_json

INFO = "dataset_info.json"
LABELS = ("uid", "source", "knowledge", "capability", "ids", "difficulty", "type", "twin_uid", "split")
"""Fields of a row that stand beside the messages for whoever mixes, weights or reports."""


def read_info(folder: Path) -> dict[str, Any]:
    """``dataset_info.json``, empty when there is none."""
    path = folder / INFO
    known: dict[str, Any] = read_json(path) if path.is_file() else {}
    return known


def list_set(folder: Path, name: str, entry: dict[str, Any] | None) -> None:
    """Add a set to ``dataset_info.json``, or with None take it out."""
    known = read_info(folder)
    if entry is None:
        known.pop(name, None)
    else:
        known[name] = entry
    write_json(folder / INFO, known)
