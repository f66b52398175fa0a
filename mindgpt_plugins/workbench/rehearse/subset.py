"""The few rows of a user's set that a rehearsal trains on: the longest, the largest, and one of everything."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.files import read_json, write_json

KEYS = ("source", "type", "answer_type")
"""A row of every value these take is in the subset."""


class SubsetError(ValueError):
    """A set cannot be read; the message names the file."""


def chosen(rows: list[dict[str, Any]], folder: Path, count: int, longest: int | None) -> list[int]:
    """Places of the rows that matter, in their order; the same for the same rows.

    Args:
        rows: with ``uid``, ``twin_uid``, ``images`` and :data:`KEYS` where they have them.
        folder: images are relative to it.
        count: rows wanted; more when one of everything needs more.
        longest: place of the longest row in tokens, when it is known.
    """
    order = sorted(range(len(rows)), key=lambda place: _rank(rows[place], place))
    wanted = [longest] if longest is not None else []
    if largest := _largest(rows, folder):
        wanted.append(largest)
    for key in KEYS:
        seen: set[str] = set()
        for place in order:
            if (value := str(rows[place].get(key))) not in seen:
                seen.add(value)
                wanted.append(place)
    places = {str(row.get("uid")): place for place, row in enumerate(rows)}
    for place in list(wanted):
        twin = rows[place].get("twin_uid")
        if twin is not None and str(twin) in places:
            wanted.append(places[str(twin)])
    picked = dict.fromkeys(wanted)
    for place in order:
        if len(picked) >= count:
            break
        picked.setdefault(place)
    return sorted(picked)


def write(folder: Path, name: str, target: Path, count: int, longest: int | None = None) -> int:
    """Write the subset of a set into another datasets folder, in every format the set has; return its rows.

    Raises:
        SubsetError: no file of the set is there or readable.
    """
    info = _info(folder)
    entry = info.get(name)
    file = folder / str((entry or {}).get("file_name", f"{name}.json"))
    rows = _rows(folder, name, file)
    places = chosen(rows, folder, count, longest)
    target.mkdir(parents=True, exist_ok=True)
    uids = {str(rows[place]["uid"]) for place in places if rows[place].get("uid") is not None}
    if file.is_file():
        _filter_text(file, target / file.name, set(places), uids)
        known = _info(target)
        known[name] = {**(entry or {}), "file_name": file.name}
        write_json(target / "dataset_info.json", known)
    for suffix in ("jsonl", "parquet"):
        source = folder / f"{name}.{suffix}"
        if source.is_file() and source != file:
            if suffix == "parquet":
                _filter_parquet(source, target / source.name, set(places), uids)
            else:
                _filter_text(source, target / source.name, set(places), uids)
    for place in places:
        _link(rows[place].get("images") or [], folder, target)
    return len(places)


def _rows(folder: Path, name: str, file: Path) -> list[dict[str, Any]]:
    """Labels and images of every row; answer types stand in the rows' own file only."""
    plain = folder / f"{name}.jsonl"
    rows = _read(file) if file.is_file() else _read(plain) if plain.is_file() else []
    if not rows and (folder / f"{name}.parquet").is_file():
        from pyarrow import parquet

        table = parquet.read_table(folder / f"{name}.parquet", columns=["extra_info"])
        rows = [row["extra_info"] for row in table.to_pylist()]
    if not rows:
        raise SubsetError(f"set {name!r}: no rows in {file}, {name}.jsonl or {name}.parquet of {folder}")
    types = {r["uid"]: r.get("answer_type") for r in _read(plain) if "uid" in r} if plain.is_file() else {}
    return [
        {
            **{key: row.get(key) for key in ("uid", "twin_uid", "source", "type")},
            "answer_type": row.get("answer_type") or types.get(row.get("uid")),
            "images": row.get("images") or row.get("image"),
        }
        for row in rows
    ]


def _largest(rows: list[dict[str, Any]], folder: Path) -> int | None:
    """Place of the row with the largest picture, by file size: opening a million headers would take minutes."""
    sizes = {}
    for place, row in enumerate(rows):
        paths = [folder / image for image in row.get("images") or [] if isinstance(image, str)]
        if paths:
            sizes[place] = max(path.stat().st_size if path.is_file() else 0 for path in paths)
    return max(sizes, key=lambda place: (sizes[place], -place), default=None)


def _rank(row: dict[str, Any], place: int) -> str:
    return hashlib.sha256(str(row.get("uid") or place).encode()).hexdigest()


def _info(folder: Path) -> dict[str, Any]:
    path = folder / "dataset_info.json"
    known: dict[str, Any] = read_json(path) if path.is_file() else {}
    return known


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".jsonl" or not text.lstrip().startswith("["):
            return [json.loads(line) for line in text.split("\n") if line.strip()]
        loaded: list[dict[str, Any]] = json.loads(text)
        return loaded
    except ValueError as error:
        raise SubsetError(f"{path} is not valid JSON: {error}") from None


def _keep(row: dict[str, Any], place: int, places: set[int], uids: set[str]) -> bool:
    """Files of a set may be in another order, so a uid counts more than the place."""
    uid = row.get("uid")
    return str(uid) in uids if uid is not None and uids else place in places


def _filter_text(source: Path, target: Path, places: set[int], uids: set[str]) -> None:
    kept = [row for place, row in enumerate(_read(source)) if _keep(row, place, places, uids)]
    lines = [json.dumps(row, ensure_ascii=False) for row in kept]
    whole = source.read_text(encoding="utf-8").lstrip().startswith("[")
    text = "[\n" + ",\n".join(lines) + "\n]\n" if whole else "\n".join(lines) + "\n"
    target.write_text(text, encoding="utf-8")


def _filter_parquet(source: Path, target: Path, places: set[int], uids: set[str]) -> None:
    from pyarrow import parquet

    file = parquet.ParquetFile(source)
    with parquet.ParquetWriter(target, file.schema_arrow) as writer:
        place = 0
        for group in range(file.num_row_groups):
            has = "extra_info" in file.schema_arrow.names
            labels = file.read_row_group(group, columns=["extra_info"] if has else []).to_pylist()
            labels = labels or [{}] * file.metadata.row_group(group).num_rows
            picked = [
                number
                for number, row in enumerate(labels)
                if _keep(row.get("extra_info") or {}, place + number, places, uids)
            ]
            place += len(labels)
            if picked:
                writer.write_table(file.read_row_group(group).take(picked))


def _link(images: Iterable[Any], folder: Path, target: Path) -> None:
    for image in images:
        if isinstance(image, str) and not os.path.isabs(image) and (folder / image).is_file():
            link = target / image
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.exists():
                link.symlink_to((folder / image).resolve())
