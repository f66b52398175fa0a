"""The record of a stage that has diverged, ``diverged.json``: what was found, where to go back to, what to try.

The trainer writes it and ends; the runner shows it and does not start the stage again while it is there, since the same
recipe would end at the same step; the report shows it too. Whoever changes the recipe gets a new folder anyway.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from mindgpt_plugins.core.schema import Strict, read_model, write_model
from mindgpt_plugins.core.state import recover_state
from mindgpt_plugins.guards.weights import find_bad_weights

RECORD = "diverged.json"
SHOWN_ROWS = 16


class TrainingDiverged(RuntimeError):
    """Training must stop; the message is :func:`describe_divergence`'s."""


class Divergence(Strict):
    """Why a stage was stopped."""

    found: str = Field(description="What was found, e.g. `loss is nan`.")
    step: int | None = Field(None, description="Step at which it was seen; null: in the finished weights.")
    total: int | None = Field(None, description="Steps of the whole stage.")
    finite: int | None = Field(None, description="Last step whose figures were finite; 0: none.")
    checkpoint: str | None = Field(None, description="Last good checkpoint; null: there is none.")
    aside: tuple[str, ...] = Field((), description="Names that unproven checkpoints were given.")
    rows: tuple[str, ...] = Field((), description="Rows of the step, where the trainer knows them.")
    advice: tuple[str, ...] = Field((), description="What to try, most promising first.")
    guard: dict[str, Any] | None = Field(
        None, description="Settings of the guard that stopped it; null: not finite, which no setting allows."
    )


def write_divergence(folder: Path, found: Divergence) -> None:
    """Write the record into a stage's folder."""
    write_model(folder / RECORD, found)


def read_divergence(folder: Path) -> Divergence | None:
    """The record of a stage's folder; None when there is none that can be used."""
    return recover_state(
        lambda: read_model(folder / RECORD, Divergence), "whether and why the stage was stopped is not known"
    )


def summarise_divergence(found: Divergence) -> str:
    """What was found and at which step, in one line."""
    if found.step is None:
        return found.found
    since = ""
    if found.guard is None and found.finite is not None and found.finite < found.step - 1:
        since = f", or up to {found.step - found.finite - 1} steps before"
    return f"{found.found} at step {found.step}{f' of {found.total}' if found.total else ''}{since}"


def describe_divergence(found: Divergence, folder: Path) -> str:
    """The record in sentences, and how to go on.

    Args:
        found: the record.
        folder: that holds it.
    """
    lines = [summarise_divergence(found)]
    if found.rows:
        more = f" and {len(found.rows) - SHOWN_ROWS} more" if len(found.rows) > SHOWN_ROWS else ""
        lines.append(f"Rows of that step: {', '.join(found.rows[:SHOWN_ROWS])}{more}")
    if found.aside:
        lines.append(f"Set aside, because no finite step came after them: {', '.join(found.aside)}")
    if found.step is not None:
        lines.append(f"Last good checkpoint: {found.checkpoint or 'none, so it would start from its first model'}")
    lines += [f"Try {one}" for one in found.advice]
    again = f"delete {folder / RECORD} to go on from there, or " if found.step is not None else ""
    lines.append(
        "The same recipe would end there again, so the stage stays stopped until the recipe changes. Was it the "
        f"machine's fault? Then {again}run with --fresh."
    )
    return "\n".join(lines)


def set_aside_unproven(folder: Path, prefix: str, finite: int) -> tuple[Path | None, list[Path]]:
    """Rename checkpoints that no finite step came after to ``diverged-…``, and find the last good one.

    A checkpoint of step k holds the weights that step k + 1 computes with: only finite figures of that step prove them.
    So those of step ``finite`` and later go, and of the earlier ones those whose weights are not sound.

    Args:
        folder: that holds the checkpoints.
        prefix: of their names, before the step: ``checkpoint-``, ``global_step_``.
        finite: last step whose figures were finite.

    Returns:
        The last good checkpoint, and those that were renamed, under their new names.
    """
    aside: list[Path] = []
    for step, path in reversed(_list_checkpoints(folder, prefix)):
        if step < finite and _has_sound_weights(path):
            return path, aside
        target = path.with_name(f"diverged-{path.name}")
        while target.exists():
            target = target.with_name(target.name + "x")
        aside.append(path.rename(target))
    return None, aside


def find_last_checkpoint(folder: Path, prefix: str) -> Path | None:
    """The newest checkpoint of a folder, good or not."""
    found = _list_checkpoints(folder, prefix)
    return found[-1][1] if found else None


def _list_checkpoints(folder: Path, prefix: str) -> Sequence[tuple[int, Path]]:
    named = re.compile(re.escape(prefix) + r"(\d+)")
    entries = folder.iterdir() if folder.is_dir() else ()
    return sorted((int(match[1]), path) for path in entries if (match := named.fullmatch(path.name)))


def _has_sound_weights(checkpoint: Path) -> bool:
    folders = {file.parent for file in checkpoint.rglob("*.safetensors")}
    return not any(find_bad_weights(folder) for folder in folders)
