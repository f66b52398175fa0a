"""``stage.json`` and ``manifest.json``: what a run keeps about itself, and what becomes of a record that is damaged.

A full disk, an editor or a copy that broke off leaves a record empty, cut or of another shape. It is then named with
its path, once, and taken for absent wherever the run can go on without it (``recover_…``); whoever cannot do without
it gets an error with the same words (``read_…``).
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NotRequired, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from mindgpt_plugins.core.files import FileError, read_json

STAGE_RECORD = "stage.json"
MANIFEST = "manifest.json"
T = TypeVar("T")


@with_config(ConfigDict(extra="allow"))
class StageRecord(TypedDict):
    """``stage.json``: everything that made the stage's hash, and time and memory over all attempts to finish."""

    settings: dict[str, Any]
    image: dict[str, Any]
    thinking: NotRequired[str]
    code: NotRequired[dict[str, str]]
    plugins: NotRequired[dict[str, str]]
    started: NotRequired[str]
    attempts: NotRequired[int]
    seconds: NotRequired[float]
    peak_rss_bytes: NotRequired[int]


@with_config(ConfigDict(extra="allow"))
class ManifestStage(TypedDict):
    """One stage of a manifest."""

    name: str
    kind: str
    folder: str
    status: str
    seconds: NotRequired[float]
    peak_rss_bytes: NotRequired[int]
    inputs: NotRequired[list[str]]
    hash: NotRequired[str]


@with_config(ConfigDict(extra="allow"))
class Manifest(TypedDict):
    """``manifest.json``: which folder holds which stage of a run, and how far each one is."""

    recipe: str
    stages: list[ManifestStage]
    created: NotRequired[str | None]
    pictures: NotRequired[list[str]]


def read_stage_record(path: Path) -> StageRecord:
    """The record of a stage: a ``stage.json``, or the one in a stage folder.

    Raises:
        FileNotFoundError: there is none.
        FileError: the record cannot be used; the message names the file.
    """
    return _read(path / STAGE_RECORD if path.is_dir() else path, StageRecord, "record of a stage")


def read_manifest(run: Path) -> Manifest:
    """The manifest of a run folder; raises as :func:`read_stage_record` does."""
    return _read(run / MANIFEST, Manifest, "manifest of a run; `mindgpt run` of its recipe writes it again")


def recover_stage_record(folder: Path) -> StageRecord | None:
    """The record of a stage folder; None when there is none that can be used."""
    return recover_state(
        lambda: read_stage_record(folder / STAGE_RECORD), "settings, time and attempts that it told of are not known"
    )


def recover_manifest(run: Path) -> Manifest | None:
    """The manifest of a run folder; None when there is none that can be used."""
    return recover_state(lambda: read_manifest(run), "it is taken for absent")


def recover_state(read: Callable[[], T], without: str) -> T | None:
    """What ``read`` returns; None when its file is absent or damaged, and of a damaged one a warning.

    Args:
        read: raises ``FileNotFoundError`` or ``FileError``.
        without: what follows when the file is damaged, for the warning.
    """
    try:
        return read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except FileError as error:
        warn_once(f"{error}; {without}")
        return None


@functools.cache
def warn_once(line: str) -> None:
    """Print a warning to stderr, the first time that it is given in this process."""
    print(f"warning: {line}", file=sys.stderr)


def _read(path: Path, kind: type[T], what: str) -> T:
    try:
        found: T = TypeAdapter(kind).validate_python(read_json(path))
        return found
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise FileError(f"{path} is no {what} ({f'{place}: ' if place else ''}{first['msg']})") from None
