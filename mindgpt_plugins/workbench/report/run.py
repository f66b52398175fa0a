"""Reads a run folder: the manifest and what its stages left, finished or not."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mindgpt_plugins.core import files

TRAINING = ("sft", "dpo", "rl")


@dataclass(frozen=True)
class StageView:
    """One stage of a run as the report sees it."""

    name: str
    kind: str
    status: str
    folder: Path
    seconds: float
    peak_rss_bytes: int
    inputs: tuple[str, ...]
    digest: str
    settings: dict[str, Any]
    """The stage's resolved recipe section; empty before it started."""

    @property
    def finished(self) -> bool:
        """Did the stage end well, in this run or an earlier one?"""
        return self.status in ("done", "reused")

    def json(self, name: str) -> Any:
        """A JSON file of the stage's folder, None when it is absent or half written."""
        return read_json(self.folder / name)

    def lines(self, name: str) -> list[dict[str, Any]]:
        """Complete lines of a JSONL file of the stage's folder."""
        return read_jsonl(self.folder / name)


@dataclass(frozen=True)
class Run:
    """A run: its manifest and stages in recipe order."""

    folder: Path
    manifest: dict[str, Any]
    stages: tuple[StageView, ...]
    by_name: dict[str, StageView] = field(default_factory=dict)

    def of_kind(self, *kinds: str) -> list[StageView]:
        """Stages of some kinds, in order."""
        return [stage for stage in self.stages if stage.kind in kinds]


def load(folder: Path) -> Run:
    """Read ``manifest.json`` and each stage's ``stage.json``.

    Raises:
        FileNotFoundError: no manifest in the folder.
    """
    path = folder / "manifest.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is not a run folder: it has no manifest.json; `mindgpt run` writes one")
    manifest = files.read_json(path)
    stages = tuple(_stage(entry, folder) for entry in manifest["stages"])
    return Run(folder, manifest, stages, {stage.name: stage for stage in stages})


def _stage(entry: dict[str, Any], run: Path) -> StageView:
    folder = (run / entry["folder"]).resolve()
    record = read_json(folder / "stage.json") or {}
    return StageView(
        name=entry["name"],
        kind=entry["kind"],
        status=entry["status"],
        folder=folder,
        seconds=float(entry.get("seconds") or 0.0),
        peak_rss_bytes=int(entry.get("peak_rss_bytes") or 0),
        inputs=tuple(entry.get("inputs", ())),
        digest=str(entry.get("hash", "")),
        settings=record.get("settings") or {},
    )


def read_json(path: Path) -> Any:
    """Parse a file; None when it is absent or being written by someone who does not rename."""
    try:
        return files.read_json(path)
    except (FileNotFoundError, NotADirectoryError, files.FileError):
        return None


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Whole lines; none when there is no file. A running stage may be writing the last one."""
    return files.load_jsonl(path, torn="drop") if path.is_file() else []
