"""``patches.json``: what came of each patch in a run."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from mindgpt_patches import PatchOutcome

FILE = "patches.json"


def write_outcomes(outcomes: Sequence[PatchOutcome], folder: Path) -> None:
    """Add outcomes to a stage's file; a newer one replaces that of the same patch. Processes may do it at once."""
    from filelock import FileLock  # not at import time: every process of a trainer loads this package

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    with FileLock(folder / f".{FILE}.lock"):
        latest = {one.name: one for one in [*read_outcomes(folder), *outcomes]}
        # Aside and renamed by hand: the patches import nothing of mindgpt_plugins, which stands above them.
        aside = folder / f".{FILE}.new"
        lines = json.dumps([asdict(one) for one in latest.values()], indent=1, ensure_ascii=False)
        aside.write_text(lines + "\n", encoding="utf-8")
        os.replace(aside, path)


def read_outcomes(folder: Path) -> list[PatchOutcome]:
    """Outcomes written so far."""
    path = folder / FILE
    return [PatchOutcome(**one) for one in json.loads(path.read_text(encoding="utf-8"))] if path.is_file() else []
