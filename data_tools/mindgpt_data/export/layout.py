"""Names in a datasets folder, and the list of its sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mindgpt_plugins.core.dataset_files import INFO, read_dataset_info
from mindgpt_plugins.core.files import write_json

LABELS = ("uid", "source", "knowledge", "capability", "ids", "difficulty", "type", "twin_uid", "split")
"""Fields of a row that stand beside the messages for whoever mixes, weights or reports."""


def update_dataset_info(folder: Path, name: str, entry: dict[str, Any] | None) -> None:
    """Add a set to ``dataset_info.json``, or with None take it out."""
    known = read_dataset_info(folder)
    if entry is None:
        known.pop(name, None)
    else:
        known[name] = entry
    write_json(folder / INFO, known)
