"""Says how many rows of each set are trained on: those that the host left after converting and tokenising."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.files import write_json
from mindgpt_plugins.llamafactory_ext.columns import DATASET

FILE = "trained_on.json"
"""In the stage's folder: ``{"rows": 96, "sets": {"world/train": 96}}``; packed rows count as one."""


def record_trained_rows(dataset: Any, folder: Path) -> str:
    """Write :data:`FILE` and return a line for the log.

    Args:
        dataset: the host's tokenised training set, not streamed.
        folder: of the stage.
    """
    sets = Counter(dataset[DATASET]) if DATASET in dataset.column_names else Counter()
    write_json(folder / FILE, {"rows": len(dataset), "sets": dict(sorted(sets.items()))})
    listed = ", ".join(f"{name} {count}" for name, count in sorted(sets.items()))
    return f"mindgpt: training on {len(dataset)} rows" + (f": {listed}" if listed else "")
