"""Reads a run folder: the manifest and what its stages left, finished or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mindgpt_plugins.core import artefacts, files, state
from mindgpt_plugins.core.registry import PluginError, RegistryError, get_registered, load_plugins
from mindgpt_plugins.stages.reporting import ReportRules

METRICS = "metrics.jsonl"


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
    rules: ReportRules
    """What its kind says about its place in the report."""

    @property
    def finished(self) -> bool:
        """Did the stage end well, in this run or an earlier one?"""
        return self.status in ("done", "reused")

    def lines(self, name: str) -> list[dict[str, Any]]:
        """Complete lines of a JSONL file of the stage's folder."""
        return read_whole_lines(self.folder / name)

    def describe_damage(self) -> list[str]:
        """What is damaged of a finished stage: artefacts, and figures that cannot be read to their end."""
        if not self.finished:
            return []
        damage = artefacts.find_damage(self.folder)
        found = [] if damage is None else [str(damage)]
        try:
            files.load_jsonl(self.folder / METRICS)
        except files.FileError as error:
            if (self.folder / METRICS).is_file():
                found.append(str(error))
        return [f"{self.name}: {line}" for line in found]


@dataclass(frozen=True)
class ReportedRun:
    """A run: its manifest and stages in recipe order."""

    folder: Path
    manifest: state.Manifest
    stages: tuple[StageView, ...]
    by_name: dict[str, StageView] = field(default_factory=dict)

    def entries(self, section: str) -> Iterator[tuple[StageView, Any]]:
        """Stages that belong into a section of ``report.json``, and what each holds for it: None when it is missing."""
        for stage in self.stages:
            figures = stage.rules.read_figures(stage.folder)
            if section in figures:
                yield stage, figures[section]


def load_run(folder: Path) -> ReportedRun:
    """Read ``manifest.json`` and each stage's ``stage.json``.

    Raises:
        FileNotFoundError: no manifest in the folder.
        FileError: the manifest is damaged.
    """
    if not (folder / state.MANIFEST).is_file():
        raise FileNotFoundError(f"{folder} is not a run folder: it has no manifest.json; `mindgpt run` writes one")
    manifest = state.read_manifest(folder)
    stages = tuple(_stage(entry, folder) for entry in manifest["stages"])
    return ReportedRun(folder, manifest, stages, {stage.name: stage for stage in stages})


def _stage(entry: state.ManifestStage, run: Path) -> StageView:
    folder = (run / entry["folder"]).resolve()
    record: Mapping[str, Any] = state.recover_stage_record(folder) or {}
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
        rules=_rules(entry["kind"], record.get("plugins") or ()),
    )


def _rules(kind: str, plugins: Sequence[str]) -> ReportRules:
    try:
        load_plugins(plugins)
        rules: ReportRules = get_registered("stage", kind)().report_rules()
    except (PluginError, RegistryError):  # of a package that is not here any more: as a kind that says nothing
        return ReportRules()
    return rules


def read_whole_lines(path: Path) -> list[dict[str, Any]]:
    """Whole lines, up to one that is damaged; none when there is no file. A running stage may be writing the last."""
    lines: list[dict[str, Any]] = []
    try:
        lines.extend(line for _, line in files.read_jsonl(path, torn="drop"))
    except files.FileError as error:
        if path.is_file():
            state.warn_once(f"{error}; it and what follows it is left out")
    return lines
