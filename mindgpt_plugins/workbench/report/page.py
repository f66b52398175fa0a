"""The run's page from its figures: what its template cannot compute itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.secrets import mask_secrets
from mindgpt_plugins.web.page import render_page
from mindgpt_plugins.workbench.report import thumbnails
from mindgpt_plugins.workbench.report.branches_page import draw_branches
from mindgpt_plugins.workbench.report.dump import list_picture_folders
from mindgpt_plugins.workbench.report.run import ReportedRun

LARGEST = 5_000_000
"""Bytes; what is embedded is bounded so that the page stays below."""
LARGEST_FILE = 20_000
"""Characters of a config file that are shown."""
_NOT_CONFIGS = {"artefacts.json", "manifest.json", "scores.json", "data_report.json", "summary.json", "report.json"}
_SUFFIXES = (".yaml", ".yml", ".json", ".sh")


def render_report_page(data: dict[str, Any], run: ReportedRun) -> str:
    """The whole page from the figures of ``report.json`` and, for configs and pictures, the run's files."""
    return render_page(
        "report.html",
        data=data,
        drawn_branches=draw_branches(data["branches"]),
        drawn_benchmarks=draw_branches(data["benchmarks"]),
        embed=cache(partial(embed_picture, folders=tuple(list_picture_folders(run)))),
        best_first=sort_replies,
        configs=read_configs(run),
    )


def embed_picture(path: str, *, folders: Sequence[Path]) -> tuple[str, str]:
    """The picture's data address, scaled down when large, or why there is none; it must lie in one of the folders."""
    if os.path.isfile(path) and not thumbnails.is_shown(path, folders):
        return "", f"{Path(path).name} lies outside the set's folder; the recipe's report.pictures can list its own"
    try:
        address = thumbnails.encode_thumbnail(Path(path), 256)
    except ImportError:
        return "", f"{Path(path).name}: install pillow to embed pictures"
    return address or "", f"picture {Path(path).name} is not there any more"


def sort_replies(replies: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Replies by their advantage, which a run may not have recorded."""
    return sorted(replies, key=lambda reply: -(reply["advantage"] or 0.0))


def read_configs(run: ReportedRun) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """The resolved recipe, then per stage (name, folder) its rendered files, exactly as they ran."""
    found = []
    resolved = run.folder / str(run.manifest.get("resolved", "recipe.resolved.yaml"))
    if resolved.is_file():
        found.append(("", "", [_read_config(resolved) | {"name": "recipe, resolved"}]))
    for stage in run.stages:
        files = sorted(
            path
            for path in (stage.folder.iterdir() if stage.folder.is_dir() else ())
            if path.is_file() and path.suffix in _SUFFIXES and path.name not in _NOT_CONFIGS and path.name[0] != "."
        )
        if files:
            found.append((stage.name, stage.folder.name, [_read_config(path) for path in files]))
    return found


def _read_config(path: Path) -> dict[str, Any]:
    text = mask_secrets(path.read_text(encoding="utf-8", errors="replace"))
    return {"name": path.name, "text": text[:LARGEST_FILE], "more": max(0, len(text) - LARGEST_FILE)}
