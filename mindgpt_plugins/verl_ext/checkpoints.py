"""Which checkpoints a resumed run can read: verl's files carry the number of ranks in their names. No host import.

Rank r of n reads ``model_world_size_<n>_rank_<r>.pt`` and nothing else, so a checkpoint of two ranks is invisible to
four. verl finds out when Ray, the models and the servers are up; this looks at file names. Megatron's distributed
checkpoints are resharded as they are read, and have no such files.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

_SHARD = re.compile(r"^model_world_size_(\d+)_rank_\d+\.pt$")
_TRACKER = "latest_checkpointed_iteration.txt"
"""verl's file with the number of the step that a run goes on from."""


def find_latest_checkpoint(folder: Path) -> Path | None:
    """The checkpoint that verl would go on from; ``None``: it would start afresh.

    Args:
        folder: ``trainer.default_local_dir``.
    """
    try:
        step = (folder / _TRACKER).read_text(encoding="utf-8").strip()
    except OSError:
        return None
    found = folder / f"global_step_{step}"
    return found if found.is_dir() else None


def count_checkpoint_ranks(checkpoint: Path) -> int | None:
    """How many ranks wrote a checkpoint's actor; ``None`` when its files do not say."""
    actor = checkpoint / "actor"
    if not actor.is_dir():
        return None
    found = [match for path in actor.iterdir() if (match := _SHARD.match(path.name))]
    return max((int(match[1]) for match in found), default=None)


def find_rank_mismatch(folder: Path, ranks: int, key: str) -> str | None:
    """Why a run of so many ranks cannot go on from the checkpoints in a folder; ``None`` when it can or starts afresh.

    Args:
        folder: ``trainer.default_local_dir``.
        ranks: training ranks of this run.
        key: what decides their number, for the message.
    """
    checkpoint = find_latest_checkpoint(folder)
    saved = count_checkpoint_ranks(checkpoint) if checkpoint is not None else None
    if saved is None or saved == ranks:
        return None
    return (
        f"{key} makes {ranks} training ranks, but {checkpoint} was written by {saved} and verl reads the files of as "
        f"many ranks only (model_world_size_{saved}_rank_….pt); go on with {saved}, or move {folder} away to start "
        "from the first step"
    )


def find_command_mismatch(overrides: Sequence[str]) -> str | None:
    """The same, of a run's Hydra overrides: a command line that was copied and changed meets no recipe check."""
    values = dict(part.lstrip("+").split("=", 1) for part in overrides if "=" in part)
    folder = values.get("trainer.default_local_dir")
    if folder is None or values.get("trainer.resume_mode", "auto") != "auto":
        return None
    try:
        ranks = int(values["trainer.n_gpus_per_node"]) * int(values.get("trainer.nnodes", "1"))
    except (KeyError, ValueError):
        return None  # verl's own default or an expression: not known here
    return find_rank_mismatch(Path(folder.strip("'\"")), ranks, "trainer.n_gpus_per_node × trainer.nnodes")
