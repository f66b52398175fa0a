"""What the runner does about divergence: starts no stage that was stopped, checks saved weights, shows warnings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.core.files import load_jsonl
from mindgpt_plugins.core.schema import StageConfig
from mindgpt_plugins.guards.divergence import (
    RECORD,
    Divergence,
    describe_divergence,
    read_divergence,
    write_divergence,
)
from mindgpt_plugins.guards.monitor import WARNINGS
from mindgpt_plugins.guards.weights import find_bad_weights


def refuse_diverged_stage(name: str, config: StageConfig, folder: Path) -> None:
    """Refuse a stage that has diverged; one that its guard stopped goes on once the guard is another.

    Raises:
        StageError: what was found, and what to change.
    """
    found = read_divergence(folder)
    if found is None:
        return
    if found.guard is not None and found.guard != _dump_guard(config):
        (folder / RECORD).unlink()
        return
    raise StageError(f"stage {name!r} was stopped before: {describe_divergence(found, folder)}")


def describe_stop(name: str, folder: Path) -> str | None:
    """Why a stage's process ended, if it was stopped because it diverged."""
    found = read_divergence(folder)
    return None if found is None else f"stage {name!r} was stopped: {describe_divergence(found, folder)}"


def check_saved_weights(name: str, config: StageConfig, folder: Path, artefacts: Mapping[str, str]) -> None:
    """Look through the weights of every artefact before its stage is called done.

    Raises:
        StageError: a tensor holds inf, NaN or numbers too large to compute with; ``diverged.json`` keeps it.
    """
    for artefact, path in artefacts.items():
        bad = find_bad_weights(Path(path)) if Path(path).is_dir() else None
        if bad is None:
            continue
        lr = getattr(config, "lr", None)
        advice = (f"a lower learning rate: lr: {lr / 10:g} (now {lr:g})",) if lr else ()
        found = Divergence(found=f"{artefact}: {bad}", advice=(*advice, "a look at the weights that it started from"))
        write_divergence(folder, found)
        raise StageError(f"stage {name!r} made weights of no use: {describe_divergence(found, folder)}")


class WarningsTail:
    """Prints each warning of a running stage once; those of an earlier attempt too, since they still hold."""

    def __init__(self, console: Console, name: str, folder: Path):
        self.console, self.name, self.path = console, name, folder / WARNINGS
        self._shown: set[tuple[int, str]] = set()
        self._size = 0

    def show(self) -> None:
        """Print what is new."""
        size = self.path.stat().st_size if self.path.is_file() else 0
        if size == self._size:
            return
        self._size = size
        for line in load_jsonl(self.path, torn="drop"):
            key = (int(line["step"]), str(line["guard"]))
            if key not in self._shown:
                self._shown.add(key)
                text = f"{self.name}: warning: step {line['step']}: {line['text']} (guard.{line['guard']})"
                self.console.print(text, style="yellow", markup=False, soft_wrap=True)


def _dump_guard(config: StageConfig) -> dict[str, Any] | None:
    guard = getattr(config, "guard", None)
    return None if guard is None else guard.model_dump(mode="json")
