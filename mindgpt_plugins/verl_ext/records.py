"""What a run leaves behind beside verl's own logs: one metrics line per step, and proof that our code ran."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any


class MetricsFile:
    """Appends ``{"step", "total", …numbers}`` lines; ``None`` writes nothing."""

    def __init__(self, path: str | None):
        self.path = Path(path) if path else None

    def resume(self, step: int) -> None:
        """Drop lines after ``step``: the run repeats them. A half-written last line goes too."""
        if self.path is None or not self.path.is_file():
            return
        kept = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            if int(record["step"]) <= step:
                kept.append(line)
        _replace(self.path, "".join(line + "\n" for line in kept))

    def append(self, step: int, total: int, figures: Mapping[str, Any]) -> None:
        """Add one step's line; leaves out what is not a finite number."""
        if self.path is None:
            return
        record: dict[str, float] = {"step": step, "total": total}
        for name, value in sorted(figures.items()):
            if isinstance(value, (bool, str)) or not hasattr(value, "__float__"):
                continue
            number = float(value)
            if math.isfinite(number):
                record[name] = number
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


def mark_loaded(path: Path, trainer: type, reward_pids: list[int], roles: Mapping[str, Any]) -> None:
    """Write the file that proves our trainer and reward code ran, and in which processes.

    Args:
        path: of the file.
        trainer: class of the running trainer.
        reward_pids: processes that computed rewards of ours.
        roles: role → process ids where our code was found before the first step.
    """
    record = {
        "trainer": {"pid": os.getpid(), "class": f"{trainer.__module__}.{trainer.__qualname__}"},
        "reward": {"pids": reward_pids},
        "roles": dict(roles),
        "verl": version("verl"),
        "mindgpt-plugins": version("mindgpt-plugins"),
    }
    _replace(path, json.dumps(record, indent=1) + "\n")


def repair_tracker(folder: Path) -> None:
    """Point an empty tracker (verl writes it in place, so a kill can leave it so) at the last whole checkpoint."""
    tracker = folder / "latest_checkpointed_iteration.txt"
    if not tracker.is_file() or tracker.read_text().strip().isdigit():
        return
    found = (re.fullmatch(r"global_step_(\d+)", data.parent.name) for data in folder.glob("*/data.pt"))
    steps = [int(match.group(1)) for match in found if match]
    if steps:
        _replace(tracker, str(max(steps)))
    else:
        tracker.unlink()


def _replace(path: Path, text: str) -> None:
    aside = path.with_name(path.name + ".tmp")
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, path)
