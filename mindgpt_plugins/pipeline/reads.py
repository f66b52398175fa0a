"""What a stage reads from outside its recipe: which files each reference stands for, and which of them have changed.

Only what is read counts: of a set its files and the media that its rows name, of a model's folder its own files, of a
manifest the pictures in it; never the folder around them, never our own output.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mindgpt_plugins.core.files import FileError, read_json, write_bytes
from mindgpt_plugins.core.own_folders import walk_user_folder
from mindgpt_plugins.core.schema import StageConfig
from mindgpt_plugins.core.stamps import ReadFiles, Stamp
from mindgpt_plugins.core.state import recover_state
from mindgpt_plugins.inspection.readers import READERS, find_read_files
from mindgpt_plugins.stages.base import Context, SetRead, Stage

NAMED = 6
"""Files that are named one by one."""
RECORD = "reads.json"
"""In a stage's folder: reference → digests of the files that are read under it, to say later which have changed."""
_RECORD = TypeAdapter(dict[str, dict[str, dict[str, str]]])


def find_outside_reads(stage: Stage[Any], config: StageConfig, context: Context) -> Iterator[tuple[str, ReadFiles]]:
    """References of a stage that name no stage, each with the files that it reads under them."""
    sets: dict[str, list[SetRead]] = {}
    for read in stage.set_reads(config):
        sets.setdefault(read.dataset, []).append(read)
    for to, value in config.references():
        if to == "dataset" and value.rpartition("/")[0] not in context.inputs:
            folder, name = context.dataset(value)
            # Where a stage does not say who reads a set, it is read in every way in which it can be.
            for read in sets.get(value) or [SetRead(value, reader) for reader in READERS]:
                media = None if read.media_dir is None else (context.recipe_folder / read.media_dir).resolve()
                found = find_read_files(folder, name, read.reader, media, dict(read.columns))
                yield f"{value} ({read.reader})", found
        elif to == "model" and value not in context.inputs and (folder := Path(context.model(value))).is_dir():
            yield value, ReadFiles(folder, _list_folder(folder, whole=False), weights=True)
        elif to == "pictures":
            from mindgpt_data.corpus import find_corpus_files

            yield value, find_corpus_files(_resolve(context, value))
        elif to == "path" or (to == "branches" and value not in context.inputs):
            path = _resolve(context, value)
            if path.is_dir():
                yield value, ReadFiles(path, _list_folder(path, whole=True), weights=True)
            else:
                yield value, ReadFiles(path.parent, {path.name: path})


def write_read_record(folder: Path, stamps: Mapping[str, Stamp]) -> None:
    """Write what a stage reads into its folder, for :func:`describe_changed_files`."""
    content = {value: {"lists": dict(stamp.lists), "media": dict(stamp.media)} for value, stamp in stamps.items()}
    write_bytes(folder / RECORD, json.dumps(content).encode())  # ASCII only: names may hold what UTF-8 does not


def describe_changed_files(folder: Path, changed: Iterable[str], stamps: Mapping[str, Stamp]) -> str:
    """``general.json, 3 pictures (first: images/a.png)``: how files differ from what a stage's folder has on record.

    Args:
        folder: of the stage as it ran before.
        changed: references whose digest is another.
        stamps: what they are now.
    """
    record = recover_state(lambda: _read_record(folder / RECORD), "which files changed since then is not known") or {}
    found: list[str] = []
    for value in changed:
        before, now = record.get(value), stamps.get(value)
        if before is None or now is None:
            found.append(f"what {value} names")
            continue
        lists = sorted({name for name, _ in {*before["lists"].items()} ^ {*now.lists.items()}})
        found += [*lists[:NAMED], *([f"{len(lists) - NAMED} files more"] if len(lists) > NAMED else [])]
        found += _describe_media(before["media"], now.media)
    return ", ".join(dict.fromkeys(found))


def _read_record(path: Path) -> dict[str, dict[str, dict[str, str]]]:
    """What :func:`write_read_record` wrote: reference → ``lists`` and ``media`` → file → digest."""
    try:
        record: dict[str, dict[str, dict[str, str]]] = _RECORD.validate_python(read_json(path))
        if all(one.keys() >= {"lists", "media"} for one in record.values()):
            return record
    except ValidationError:
        pass
    raise FileError(f"{path} is no record of what a stage read")


def _describe_media(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    kinds: list[tuple[str, Callable[[str], bool], Mapping[str, str]]] = [
        ("", lambda name: name in before and before[name] != now[name], now),
        (" more", lambda name: name not in before, now),
        (" less", lambda name: name not in now, before),
    ]
    for kind, chosen, among in kinds:
        names = sorted(filter(chosen, among))
        if len(names) == 1:
            yield f"{names[0]}{' (new)' if kind == ' more' else ' (no longer read)' if kind else ''}"
        elif names:
            yield f"{len(names)} pictures{kind} (first: {names[0]})"


def _resolve(context: Context, value: str) -> Path:
    return (context.recipe_folder / Path(value).expanduser()).resolve()


def _list_folder(folder: Path, *, whole: bool) -> dict[str, Path]:
    """Name → file of a folder, and where it is read whole of those below it, that are neither hidden nor ours."""
    found: dict[str, Path] = {}
    for at, names in walk_user_folder(folder):
        paths = [Path(at, name) for name in names or ()]
        found |= {path.relative_to(folder).as_posix(): path for path in paths}
        if not whole:
            break
    return found
