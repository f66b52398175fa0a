"""Append-only JSON lines that a resumed run continues: ``metrics.jsonl`` and traces. No host import."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def truncate(path: Path, step: int) -> None:
    """Keep the lines up to ``step``; later ones, and one cut short by a kill, are about to be written again."""
    if not path.is_file():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except ValueError:
            continue  # the write that the kill interrupted
    aside = path.with_name(path.name + ".tmp")
    aside.write_text("".join(kept), encoding="utf-8")
    os.replace(aside, path)


def append(path: Path, line: Mapping[str, Any]) -> None:
    """Add one line in one write. Numbers that JSON does not know (NaN, infinity) become ``null``."""
    clean = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in line.items()}
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(clean) + "\n")


def line(step: int, total: int, logs: Mapping[str, Any]) -> dict[str, Any]:
    """A ``metrics.jsonl`` line from the trainer's log: ``learning_rate`` → ``lr``, six significant digits."""
    numbers = {
        ("lr" if key == "learning_rate" else key): (float(f"{value:.6g}") if isinstance(value, float) else value)
        for key, value in logs.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and key not in ("step", "total")
    }
    return {"step": step, "total": total, **numbers}
