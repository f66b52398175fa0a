"""The few rows of a user's set that a rehearsal trains on: the longest, the largest, and one of everything."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.dataset_files import INFO, SetInfo, read_batches, read_dataset_info, read_rows
from mindgpt_plugins.core.files import FileError, load_jsonl, read_jsonl, write_json, write_jsonl, write_text

KEYS = ("source", "type", "answer_type")
"""A row of every value these take is in the subset."""


class SubsetError(ValueError):
    """A set cannot be read; the message names the file."""


def choose_subset_rows(rows: list[dict[str, Any]], folder: Path, count: int, longest: int | None) -> list[int]:
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


def write_subset(folder: Path, name: str, target: Path, count: int, longest: int | None = None) -> int:
    """Write the subset of a set into another datasets folder, in every format the set has; return its rows.

    Raises:
        SubsetError: no file of the set is there or readable.
    """
    try:
        return _write(folder, name, target, count, longest)
    except FileError as error:
        raise SubsetError(str(error)) from None


def _write(folder: Path, name: str, target: Path, count: int, longest: int | None) -> int:
    entry = read_dataset_info(folder).get(name) or {}
    listed = SetInfo(folder, name, {"file_name": f"{name}.json", **entry})
    main = folder / str(listed.entry["file_name"])
    plain, table = folder / f"{name}.jsonl", folder / f"{name}.parquet"
    rows = _rows(listed, main, plain, table)
    places = choose_subset_rows(rows, folder, count, longest)
    target.mkdir(parents=True, exist_ok=True)
    uids = {str(rows[place]["uid"]) for place in places if rows[place].get("uid") is not None}

    def keep(row: Mapping[str, Any], place: int) -> bool:
        # Files of a set may be in another order, so a uid counts more than the place.
        uid = row.get("uid")
        return str(uid) in uids if uid is not None and uids else place in set(places)

    if main.exists():
        known = read_dataset_info(target)
        known[name] = {**entry, "file_name": _copy_listed(listed, main, target, keep)}
        write_json(target / INFO, known)
    if plain.is_file() and plain != main:
        kept = (row for place, (_, row) in enumerate(read_jsonl(plain)) if keep(row, place))
        write_jsonl(target / plain.name, kept)
    if table.is_file() and table != main:
        _copy_parquet(table, target / table.name, keep)
    for place in places:
        _link(rows[place]["images"], folder, target)
    return len(places)


def _rows(listed: SetInfo, main: Path, plain: Path, table: Path) -> list[dict[str, Any]]:
    """Labels and images of every row; answer types stand in the rows' own file only."""
    found: list[dict[str, Any]] = []
    if main.exists():
        rows = ({**row, "images": listed.media(row)} for file in listed.files for row in read_rows(file))
        found = [_labels(row) for row in rows]
    elif plain.is_file():
        found = [_labels(row) for row in load_jsonl(plain)]
    elif table.is_file():
        from pyarrow import parquet

        found = [_labels(row["extra_info"]) for row in parquet.read_table(table, columns=["extra_info"]).to_pylist()]
    if not found:
        raise SubsetError(f"set {listed.name!r}: no rows in {main}, {plain.name} or {table.name} of {listed.folder}")
    types = {}
    if plain.is_file():
        types = {row["uid"]: row.get("answer_type") for _, row in read_jsonl(plain) if "uid" in row}
    return [{**row, "answer_type": row["answer_type"] or types.get(row["uid"])} for row in found]


def _labels(row: Mapping[str, Any]) -> dict[str, Any]:
    images = row.get("images") or row.get("image") or []
    return {
        **{key: row.get(key) for key in ("uid", "twin_uid", "source", "type", "answer_type")},
        # Pictures that a row holds itself are copied with it.
        "images": [one for one in ([images] if isinstance(images, str) else images) if isinstance(one, str)],
    }


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


Keep = Callable[[Mapping[str, Any], int], bool]
"""Whether a row at a place of its file belongs to the subset."""


def _copy_listed(listed: SetInfo, main: Path, target: Path, keep: Keep) -> str:
    """Write the rows of the set's listed file, or of its parts, as one file; its name."""
    if listed.kind in ("parquet", "arrow"):
        name = f"{main.stem}.parquet"
        _copy_batches(listed.files, target / name, keep)
        return name
    rows = (row for file in listed.files for row in read_rows(file))
    kept = [row for place, row in enumerate(rows) if keep(row, place)]
    if main.suffix == ".jsonl":
        write_jsonl(target / main.name, kept)
        return main.name
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in kept)
    write_text(target / f"{main.stem}.json", f"[\n{lines}\n]\n")
    return f"{main.stem}.json"


def _copy_batches(files: Sequence[Path], target: Path, keep: Keep) -> None:
    from pyarrow import parquet

    with contextlib.ExitStack() as stack:
        writer, place = None, 0
        for file in files:
            for batch in read_batches(file):
                writer = writer or stack.enter_context(parquet.ParquetWriter(target, batch.schema))
                uids = batch.column("uid").to_pylist() if "uid" in batch.schema.names else [None] * len(batch)
                picked = [number for number, uid in enumerate(uids) if keep({"uid": uid}, place + number)]
                place += len(batch)
                if picked:
                    writer.write_batch(batch.take(picked))


def _copy_parquet(source: Path, target: Path, keep: Keep) -> None:
    """The same for verl's layout, reading the pictures of those row groups only that have a row of the subset."""
    from pyarrow import parquet

    file = parquet.ParquetFile(source)
    with parquet.ParquetWriter(target, file.schema_arrow) as writer:
        place = 0
        for group in range(file.num_row_groups):
            has = "extra_info" in file.schema_arrow.names
            labels = file.read_row_group(group, columns=["extra_info"] if has else []).to_pylist()
            labels = labels or [{}] * file.metadata.row_group(group).num_rows
            picked = [number for number, row in enumerate(labels) if keep(row.get("extra_info") or {}, place + number)]
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
