"""Where runs live: content-addressed stage folders, and run folders that are manifests of them.

    runs/stages/<stage>-<hash>[.<attempt>]/   stage.json  command.sh  log.txt  metrics.jsonl  artefacts.json  …
    runs/<recipe>-<hash>/                     manifest.json  recipe.resolved.yaml  report.html  report.json
    runs/<recipe>                             link to the latest of them

``artefacts.json`` is written last: a stage folder that has one is finished and is never written to again
(:mod:`.artefacts`).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from mindgpt_plugins.core.artefacts import find_damage, recover_artefacts
from mindgpt_plugins.core.errors import StageError

STAGES = "stages"
"""Folder of all stages in a runs folder."""


def locate_stage_folder(runs: Path, stage: str, digest: str, attempt: int = 1) -> Path:
    """Folder of one attempt at a stage."""
    return runs / STAGES / (f"{stage}-{digest}" + (f".{attempt}" if attempt > 1 else ""))


def find_latest_attempt(runs: Path, stage: str, digest: str) -> int:
    """Number of the newest attempt at this content, 0 if there is none."""
    attempt = 0
    while locate_stage_folder(runs, stage, digest, attempt + 1).is_dir():
        attempt += 1
    return attempt


def list_artefacts(folder: Path) -> dict[str, str]:
    """Absolute artefact paths of a finished stage folder; none of any other."""
    return {name: str(folder / one.path) for name, one in (recover_artefacts(folder) or {}).items()}


def is_stage_done(folder: Path) -> bool:
    """Did the stage finish, and is everything it promised still there?"""
    recorded = recover_artefacts(folder)
    return recorded is not None and all((folder / one.path).exists() for one in recorded.values())


def require_artefact(folder: Path, name: str) -> str:
    """Absolute path of an artefact of a finished stage, for whoever is about to use it.

    Raises:
        StageError: the stage's artefacts are damaged.
    """
    if damage := find_damage(folder):
        raise StageError(f"stage folder {folder}: {damage}; `mindgpt run` of its recipe makes it again in a new folder")
    return list_artefacts(folder)[name]


def find_run(runs: Path, name: str) -> Path:
    """Resolve a run argument: a run folder, or a recipe's name (its latest run).

    Raises:
        FileNotFoundError: listing the runs there are.
    """
    for candidate in (Path(name), runs / name):
        if (candidate / "manifest.json").is_file():
            return candidate.resolve()
    known = sorted(path.parent.name for path in runs.glob("*/manifest.json"))
    raise FileNotFoundError(f"no run {name!r} in {runs}; known runs: {', '.join(known) or 'none (mindgpt run …)'}")


def digest_run(identity: dict[str, str]) -> str:
    """8 hex digits over the identities of all stages of a run."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
