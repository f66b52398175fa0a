"""Who reads a set, which files that takes, and which media (pictures, videos, sounds) its rows name."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from mindgpt_plugins.core.dataset_files import INFO, DatasetError, SetInfo, read_rows, read_set_info, read_set_rows
from mindgpt_plugins.core.files import dump_json_line, read_jsonl
from mindgpt_plugins.core.stamps import ReadFiles

Reader = Literal["llamafactory", "verl", "rows"]
"""LLaMA-Factory by ``dataset_info.json``; verl, its ``<set>.parquet``; our own stages, ``<set>.jsonl``."""
READERS: tuple[Reader, ...] = get_args(Reader)
MEDIA = ("images", "videos", "audios")
"""Columns of media, as both trainers call them."""
ELSEWHERE = ("http://", "https://", "data:")
"""How a picture begins that is not on this machine's disk."""


def locate_set_file(folder: Path, name: str, reader: Literal["verl", "rows"]) -> Path:
    """The one file that verl, or one of our own stages, reads of a set; whether or not it is there."""
    return folder / f"{name}.{'parquet' if reader == 'verl' else 'jsonl'}"


def find_read_files(
    folder: Path, name: str, reader: Reader, media_dir: Path | None = None, columns: Mapping[str, str] | None = None
) -> ReadFiles:
    """What is read of a set: its files, its own entry in ``dataset_info.json``, and the media that its rows name.

    Nothing else in the folder counts, and nothing is listed before a set is known to exist. A set that is not there, or
    cannot be read, has no files: whoever inspects it says why.

    Args:
        folder: of the set.
        name: of the set.
        reader: who reads it.
        media_dir: where pictures are looked for, when it is not the folder.
        columns: verl's word for a column → what the rows call it, where that is another.
    """
    root, way = media_dir or folder, f"{reader} {name} {sorted((columns or {}).items())}"
    if reader == "llamafactory":
        try:
            info = read_set_info(folder, name)
        except DatasetError:
            return ReadFiles(root, way=way)
        entry = hashlib.sha256(dump_json_line(info.entry).encode("utf-8", "surrogatepass")).hexdigest()[:16]
        try:
            files = {os.path.relpath(path, folder): path for path in info.files}
        except DatasetError:
            files = {}
        return ReadFiles(root, files, partial(_list_set_media, info), {f"{INFO} ({name})": entry}, way)
    # What is compared with may also be a file of questions, named with its ending.
    candidates = (locate_set_file(folder, name, reader), folder / name)
    file = next((one for one in candidates if one.is_file()), None)
    if file is None:
        return ReadFiles(root, way=way)
    lists = _list_verl_media if reader == "verl" else _list_own_media
    return ReadFiles(root, {file.name: file}, partial(lists, file, columns or {}), way=way)


def pick_verl_media(value: Any, key: str = "image") -> str | bytes | None:
    """A picture (or video) of a row as verl takes it: a path, or its bytes; None for one that is elsewhere."""
    if isinstance(value, Mapping):
        value = value.get("bytes") or value.get("path") or value.get(key)
    if value is None or isinstance(value, bytes):
        return value
    return None if str(value).startswith(ELSEWHERE) else str(value).removeprefix("file://")


def _list_set_media(info: SetInfo) -> Iterator[str]:
    for row in read_set_rows(info.folder, info.name):
        for key in MEDIA:
            yield from _flatten(info.media(row.data, key))


def _list_verl_media(file: Path, columns: Mapping[str, str]) -> Iterator[str]:
    for row in read_rows(file):
        for key in MEDIA:
            for value in _as_list(row.get(columns.get(key, key))):
                one = pick_verl_media(value, key.removesuffix("s"))
                if isinstance(one, str):
                    yield one


def _list_own_media(file: Path, columns: Mapping[str, str]) -> Iterator[str]:
    if file.suffix != ".jsonl":  # questions alone
        return
    for _, data in read_jsonl(file):
        row = data.get("row", data)  # a pair holds the row that it is of
        for key in ("image", "video"):
            yield from _flatten(_as_list(row.get(key) if isinstance(row, Mapping) else None))


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _flatten(values: Iterable[Any]) -> Iterator[str]:
    """Paths among media; a list is a video's frames, a mapping what ``datasets`` makes of a file, bytes have none."""
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _flatten(value)
        elif isinstance(value, Mapping):
            yield from _flatten([value.get("path")] if not value.get("bytes") else [])
        elif isinstance(value, str):
            yield value
