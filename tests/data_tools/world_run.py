"""Runs what a ``world`` stage renders, in this process, or as processes that are killed where a test wants."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from mindgpt_data import __main__ as steps
from mindgpt_data.world import __main__ as scenes

from mindgpt_plugins.stages.base import Context
from mindgpt_plugins.stages.world.config import WorldConfig
from mindgpt_plugins.stages.world.stage import WorldStage


def run_world(folder: Path, sets: dict[str, Any], seed: int = 0, **more: Any) -> Path:
    """Render and run a stage in ``folder``; returns its datasets folder."""
    folder.mkdir(parents=True, exist_ok=True)
    config = WorldConfig.model_validate({"kind": "world", "sets": sets, **more})
    first, second = WorldStage().render(config, Context("world", folder, {}, seed))
    assert scenes.main([first.argv[2]]) == 0
    assert steps.main([second.argv[2]]) == 0
    return folder / "datasets"


def kill_world(folder: Path, step: str, work: str) -> None:
    """Run what was rendered in ``folder`` as processes, the second killed in ``step`` of set ``work``."""
    done = subprocess.run([sys.executable, "-m", "mindgpt_data.world", "world.json"], cwd=folder, check=False)
    assert done.returncode == 0
    killed = subprocess.run([sys.executable, __file__, "config.json", step, work], cwd=folder, check=False)
    assert killed.returncode == -signal.SIGKILL


def _die_at(step: str, work: str) -> None:
    """Make ``step`` of set ``work`` kill this process when it first tells how far it is."""
    module = importlib.import_module(f"mindgpt_data.steps.{step}")
    whole = module.run

    def run(own: Any, settings: Any, **options: Any) -> Any:
        if own.folder.name == work:
            options["progress"] = lambda update: os.kill(os.getpid(), signal.SIGKILL)
        return whole(own, settings, **options)

    module.run = run


if __name__ == "__main__":
    _die_at(*sys.argv[2:])
    steps.main(sys.argv[1:2])
