"""Which checkpoints a resumed run may trust. No host import: the launcher looks before the host does."""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from pathlib import Path

from mindgpt_plugins.core.files import read_json

STATE = "mindgpt_state.json"
_NAME = re.compile(r"^checkpoint-(\d+)$")
_OTHER_STEP = "trainer_state.json is of step"
_ZERO = re.compile(r"^(?:bf16_)?zero_pp_rank_(\d+)_mp_rank_\d+_optim_states\.pt$")


def find_checkpoint_problem(checkpoint: Path, ranks: int) -> str | None:
    """Why a checkpoint is not whole, or ``None``.

    The host writes weights, optimizer, scheduler, random states and, last, ``trainer_state.json``; other ranks write
    their random state on their own. So a readable last file and every rank's own file prove the rest.
    """
    state = checkpoint / "trainer_state.json"
    try:
        step = read_json(state)["global_step"]
    except FileNotFoundError:
        return "trainer_state.json is missing"
    except (ValueError, KeyError, TypeError):
        return "trainer_state.json is cut short"
    if checkpoint.name != f"checkpoint-{step}":
        return f"{_OTHER_STEP} {step}"
    ranks = min(ranks, count_saved_ranks(checkpoint, ranks))
    random_states = sorted(checkpoint.glob("rng_state*.pth"))
    torn = [path.name for path in random_states if not zipfile.is_zipfile(path)]
    if torn:
        return f"{torn[0]} is cut short"
    if random_states and ranks > 1:
        missing = [k for k in range(ranks) if not (checkpoint / f"rng_state_{k}.pth").is_file()]
        if missing:
            return f"the random state of rank {missing[0]} is missing (killed while saving)"
    return None


def count_saved_ranks(checkpoint: Path, ranks: int) -> int:
    """How many ranks wrote a checkpoint; ``ranks`` when it does not say. With fewer the host goes on, and says so."""
    try:
        return int(read_json(checkpoint / STATE)["ranks"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return ranks


def find_shard_mismatch(output_dir: Path, ranks: int) -> str | None:
    """Why a run of so many ranks cannot go on from DeepSpeed's newest checkpoint; ``None`` when it can.

    ZeRO's optimizer states lie in one file per rank and are not dealt out again; DeepSpeed says so once the model is
    loaded. Checkpoints of plain data parallelism and of FSDP2 are read by any number of ranks.
    """
    found = [(int(match[1]), path) for path in output_dir.glob("checkpoint-*") if (match := _NAME.match(path.name))]
    if not found:
        return None
    newest = max(found)[1]
    states = [match for path in newest.glob("global_step*/*") if (match := _ZERO.match(path.name))]
    saved = 1 + max((int(match[1]) for match in states), default=-1)
    if not saved or saved == ranks:
        return None
    return (
        f"{newest} was written by {saved} ranks of DeepSpeed, and this run has {ranks}: its optimizer states are not "
        f"dealt out again. Go on with {saved} (workers of the recipe), or move the checkpoints away to start afresh"
    )


def remove_half_checkpoints(output_dir: Path, ranks: int) -> list[str]:
    """Take away checkpoints newer than the newest whole one: the host must not resume from them.

    They are removed, since a disk that was full needs the room, and since they lie in the folder of the model that will
    be offered. One that is whole but of another step than its name says was put there by somebody: it is renamed to
    ``incomplete-…``. Safe when several ranks call it at once.

    Returns:
        One line per checkpoint, to be shown.
    """
    if not output_dir.is_dir():
        return []
    for left in output_dir.glob(".checkpoint-*.part"):  # a kill came below
        shutil.rmtree(left, ignore_errors=True)
    found = [(int(match[1]), path) for path in output_dir.iterdir() if (match := _NAME.match(path.name))]
    lines = []
    for _, path in sorted(found, reverse=True):
        why = find_checkpoint_problem(path, ranks)
        if why is None:
            break
        half = not why.startswith(_OTHER_STEP)
        aside = path.with_name(f".{path.name}.part" if half else f"incomplete-{path.name}")
        while aside.exists():
            aside = aside.with_name(f"{aside.name}x")
        try:
            os.rename(path, aside)
        except FileNotFoundError:  # another rank did it
            continue
        if half:
            shutil.rmtree(aside, ignore_errors=True)
        done = "removed" if half else f"set aside as {aside.name}"
        lines.append(f"{path} is not whole ({why}); {done}, going on from the one before")
    return lines
