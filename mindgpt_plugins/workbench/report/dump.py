"""Rollout dumps of an RL stage as groups of replies, whoever wrote them: our trainer or verl's own writer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.folders import list_artefacts
from mindgpt_plugins.core.json_text import parse_json_text
from mindgpt_plugins.workbench.report.run import ReportedRun, StageView, read_whole_lines

Line = dict[str, Any]


def list_dump_files(stage: StageView) -> list[Path]:
    """The stage's dump files, one per step, in the order of their numbers."""
    return sorted((stage.folder / "rollouts").glob("*.jsonl"), key=lambda p: (_digits(p.stem), p.name))


def read_dump_groups(path: Path) -> Iterator[list[Line]]:
    """All replies to one prompt of one step after the other, in order of first appearance."""
    found: dict[tuple[int, str], list[Line]] = {}
    for line in map(_named, read_whole_lines(path)):
        found.setdefault((line["step"], line["group"]), []).append(line)
    yield from found.values()


def list_picture_folders(run: ReportedRun) -> list[Path]:
    """Folders whose pictures a page may embed, and that names in dumps may be relative to.

    They are those of the data sets that stages of the run made or read, and those under the recipe's `report.pictures`.
    """
    made = [list_artefacts(stage.folder) for stage in run.stages]
    own = [paths["datasets"] for paths in made if "datasets" in paths]
    return list(dict.fromkeys(Path(os.path.abspath(one)) for one in (*own, *run.manifest.get("pictures", ()))))


def locate_line_pictures(line: Line, folders: list[Path]) -> list[str]:
    """Paths of a line's images; a name that no folder has stays as it is."""
    return [str(next((f / name for f in folders if (f / name).is_file()), name)) for name in line["image"]]


def _named(line: Line) -> Line:
    # verl's own writer calls the texts input, output and gts.
    image = line.get("image") or []
    return {
        "step": int(line.get("step") or 0),
        "group": str(line.get("group", line.get("uid", line.get("row", "")))),
        "uid": str(line.get("row", line.get("uid", ""))),
        "prompt": str(line.get("prompt", line.get("input", "")) or ""),
        "reply": str(line.get("reply", line.get("output", "")) or ""),
        "target": str(line.get("target", line.get("gts", "")) or ""),
        "source": str(line.get("source") or ""),
        "type": str(line.get("type") or ""),
        "answer_type": str(line.get("answer_type") or ""),
        "labels": _mapping(line.get("labels")),
        "difficulty": line.get("difficulty"),
        "image": [image] if isinstance(image, str) else list(image),
        "score": line.get("score"),
        "modulated": line.get("modulated"),
        "advantage": line.get("advantage"),
        "tokens": line.get("tokens"),
        "alpha": line.get("alpha"),
        "dropped": line.get("dropped"),
        "components": _mapping(line.get("components")),
        "log": _mapping(line.get("log")),
    }


def _mapping(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        value = parse_json_text(value)
    return dict(value) if isinstance(value, dict) else {}


def _digits(text: str) -> int:
    return int("".join(c for c in text if c.isdigit()) or 0)
