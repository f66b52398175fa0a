"""What a run leaves behind beside verl's own logs: proof that our code ran, and a tracker that names a checkpoint."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.files import write_json, write_text


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
    write_json(path, record)


def repair_tracker(folder: Path) -> None:
    """Point a tracker that is empty or names no checkpoint at the last whole one.

    verl writes it in place, so a kill can leave it empty; checkpoints of a run that diverged are set aside.
    """
    tracker = folder / "latest_checkpointed_iteration.txt"
    if not tracker.is_file() or (folder / f"global_step_{tracker.read_text().strip() or '?'}").is_dir():
        return
    found = (re.fullmatch(r"global_step_(\d+)", data.parent.name) for data in folder.glob("*/data.pt"))
    steps = [int(match.group(1)) for match in found if match]
    if steps:
        write_text(tracker, str(max(steps)))
    else:
        tracker.unlink()
