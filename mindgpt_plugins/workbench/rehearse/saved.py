"""How far a stage has got, read from what it leaves on disk while it runs."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.metrics import read_metrics
from mindgpt_plugins.core.schema import StageConfig
from mindgpt_plugins.llamafactory_ext import checkpoints


def saved(kind: str, config: StageConfig, folder: Path) -> int:
    """Units of progress that a kill cannot take any more: optimizer steps, answered prompts or steps of a pipeline.

    Args:
        kind: of the stage.
        config: its settings.
        folder: its folder, which may not exist yet.
    """
    if kind in ("sft", "dpo"):
        return _llamafactory(folder, int(getattr(config, "workers", 1)))
    if kind == "rl":
        return _verl(folder)
    try:
        return int(read_metrics(folder / "metrics.jsonl")[-1]["step"])
    except (IndexError, KeyError, ValueError):
        return 0


def kept(kind: str, folder: Path, step: int) -> dict[str, Any]:
    """Fingerprints of what must survive a kill: name → digest of bytes that the resumed run may not change.

    Args:
        kind: of the stage.
        folder: its folder.
        step: what :func:`saved` said.
    """
    if kind in ("sft", "dpo"):
        files = [path / "trainer_state.json" for path in _checkpoints(folder) if path.name == f"checkpoint-{step}"]
    elif kind == "rl":
        rollouts = [folder / "rollouts" / f"{number}.jsonl" for number in range(1, step + 1)]
        files = [*rollouts, folder / "checkpoints" / f"global_step_{step}" / "data.pt"]
    else:
        files = sorted([*(folder / "passes").glob("*.jsonl"), *(folder / "samples").glob("*.jsonl")])
    found = {}
    for path in files:
        if path.is_file():
            size = path.read_bytes().rfind(b"\n") + 1 if path.suffix == ".jsonl" else path.stat().st_size
            written = path.stat().st_mtime_ns if path.suffix != ".jsonl" else None
            found[str(path.relative_to(folder))] = {"bytes": size, "digest": _digest(path, size), "written": written}
    return found


def changed(folder: Path, before: dict[str, Any]) -> list[str]:
    """Names of :func:`kept` files that are gone, or whose first bytes are others now, or that were written again."""
    lost = []
    for name, was in before.items():
        path = folder / name
        same = path.is_file() and _digest(path, was["bytes"]) == was["digest"]
        if not same or was["written"] not in (None, path.stat().st_mtime_ns):
            lost.append(name)
    return lost


def _llamafactory(folder: Path, ranks: int) -> int:
    whole = [path for path in _checkpoints(folder) if checkpoints.problem(path, ranks) is None]
    return max((int(path.name.rpartition("-")[2]) for path in whole), default=0)


def _checkpoints(folder: Path) -> list[Path]:
    return [path for kind in ("model", "adapter") for path in (folder / kind).glob("checkpoint-*")]


def _verl(folder: Path) -> int:
    try:
        step = int((folder / "checkpoints" / "latest_checkpointed_iteration.txt").read_text())
    except (FileNotFoundError, ValueError):
        return 0
    # verl dumps a step's rollouts after its checkpoint and never again: killed in between, they would not be judged.
    return step if (folder / "rollouts" / f"{step}.jsonl").is_file() else step - 1


def _digest(path: Path, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.sha256(file.read(size)).hexdigest()[:16]
