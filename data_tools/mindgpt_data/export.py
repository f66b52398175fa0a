"""Writes and reads a datasets folder: one layout for LLaMA-Factory, verl, the evaluator and self-training.

``<set>.json`` (sharegpt) · ``<set>.jsonl`` (rows) · ``<set>.parquet`` (verl) · ``dataset_info.json`` · ``images/``.
Every file is written aside and renamed, so a killed writer leaves either the old file or the new one.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindgpt_data.rows import Pair, Row, RowError, dumps

if TYPE_CHECKING:
    from PIL.Image import Image

INFO = "dataset_info.json"
_TAGS = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
_EXTRA = ("uid", "source", "knowledge", "capability", "ids", "difficulty", "type", "twin_uid", "split")


def write_set(rows: Sequence[Row], folder: Path, name: str) -> None:
    """Write ``<name>.json``, ``<name>.jsonl`` and ``<name>.parquet`` and list the set in ``dataset_info.json``.

    Args:
        rows: at least one; their images must already lie in ``folder`` (see :func:`save_image`).
        folder: the datasets folder; created when missing.
        name: letters, digits, ``_`` and ``-``.

    Raises:
        RowError: no rows, a bad name, a duplicate uid or a missing image.
    """
    _check(rows, folder, name)
    records = [
        {
            "messages": [{"role": "user", "content": row.prompt}, {"role": "assistant", "content": row.response}],
            "images": row.image,
            **{key: getattr(row, key) for key in _EXTRA},
        }
        for row in rows
    ]
    _write(folder / f"{name}.json", "[\n" + ",\n".join(map(dumps, records)) + "\n]\n")
    _write_parquet(rows, folder, name)
    _write(folder / f"{name}.jsonl", "".join(dumps(row.to_json()) + "\n" for row in rows))
    _list(
        folder,
        name,
        {
            "file_name": f"{name}.json",
            "formatting": "sharegpt",
            "columns": {"messages": "messages", "images": "images"},
            "tags": _TAGS,
        },
    )


def write_preference_set(pairs: Sequence[Pair], folder: Path, name: str) -> None:
    """Write a ranking set for LLaMA-Factory (``<name>.json``) and its rows (``<name>.jsonl``).

    Args:
        pairs: at least one; images must already lie in ``folder``.
        folder: the datasets folder; created when missing.
        name: letters, digits, ``_`` and ``-``.

    Raises:
        RowError: no pairs, a bad name or a missing image. Several pairs may share a row.
    """
    _check([pair.row for pair in pairs], folder, name, unique=False)
    records = [
        {
            "conversations": [{"role": "user", "content": pair.row.prompt}],
            "chosen": {"role": "assistant", "content": pair.chosen},
            "rejected": {"role": "assistant", "content": pair.rejected},
            "images": pair.row.image,
            "pair_kind": pair.pair_kind,
            **{key: getattr(pair.row, key) for key in _EXTRA},
        }
        for pair in pairs
    ]
    _write(folder / f"{name}.json", "[\n" + ",\n".join(map(dumps, records)) + "\n]\n")
    _write(
        folder / f"{name}.jsonl",
        "".join(
            dumps({"row": p.row.to_json(), "chosen": p.chosen, "rejected": p.rejected, "pair_kind": p.pair_kind}) + "\n"
            for p in pairs
        ),
    )
    _list(
        folder,
        name,
        {
            "file_name": f"{name}.json",
            "formatting": "sharegpt",
            "ranking": True,
            "columns": {
                "messages": "conversations",
                "chosen": "chosen",
                "rejected": "rejected",
                "images": "images",
            },
            "tags": _TAGS,
        },
    )


def read_set(folder: Path, name: str) -> list[Row]:
    """Read the rows of a set.

    Raises:
        RowError: the set is missing (the message lists those there are) or a line is malformed.
    """
    lines = _lines(folder, name)
    return [Row.from_json(json.loads(line), f"{folder / name}.jsonl line {i}") for i, line in enumerate(lines, 1)]


def read_preference_set(folder: Path, name: str) -> list[Pair]:
    """Read the pairs of a preference set.

    Raises:
        RowError: the set is missing or a line is malformed.
    """
    pairs = []
    for i, line in enumerate(_lines(folder, name), 1):
        data = json.loads(line)
        try:
            row = Row.from_json(data["row"], f"{folder / name}.jsonl line {i}")
            pairs.append(Pair(row, data["chosen"], data["rejected"], data["pair_kind"]))
        except KeyError as error:
            raise RowError(f"{folder / name}.jsonl line {i}: not a preference set (no {error})") from None
    return pairs


def sets(folder: Path) -> list[str]:
    """Names of the sets a datasets folder lists, in the order they were written."""
    path = folder / INFO
    return list(json.loads(path.read_text())) if path.is_file() else []


def save_image(image: Image, folder: Path) -> str:
    """Save as ``images/<hash of the pixels>.png`` under ``folder`` unless it is there; return the relative name."""
    name = f"images/{content_hash(image)}.png"
    path = folder / name
    if not path.is_file():
        buffer = io.BytesIO()
        image.save(buffer, format="PNG")
        _write(path, buffer.getvalue())
    return name


def content_hash(image: Image) -> str:
    """First 16 hex digits of SHA-256 over mode, size and pixels: equal pictures, equal names."""
    digest = hashlib.sha256(f"{image.mode} {image.size}".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()[:16]


def _lines(folder: Path, name: str) -> list[str]:
    path = folder / f"{name}.jsonl"
    if not path.is_file():
        raise RowError(f"there is no set {name!r} in {folder}; it lists: {', '.join(sets(folder)) or 'none'}")
    return path.read_text(encoding="utf-8").splitlines()


def _check(rows: Sequence[Row], folder: Path, name: str, unique: bool = True) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise RowError(f"set name {name!r} may only hold letters, digits, '_' and '-'")
    if not rows:
        raise RowError(f"set {name!r} would be empty; a set needs at least one item")
    uids: set[str] = set()
    for row in rows:
        if unique and row.uid in uids:
            raise RowError(f"set {name!r}: uid {row.uid!r} occurs twice")
        uids.add(row.uid)
    # Each file once: sets of thousands of rows share images.
    for image in {image for row in rows for image in row.image}:
        if not (folder / image).is_file():
            raise RowError(f"set {name!r}: image {image!r} is not in {folder}; save it there before writing the set")


def _write_parquet(rows: Sequence[Row], folder: Path, name: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    text, number = pa.string(), pa.float64()
    extra = pa.struct(
        [
            ("index", pa.int64()),
            ("uid", text),
            ("answer_type", text),
            ("source", text),
            ("knowledge", text),
            ("capability", text),
            ("ids", number),
            ("difficulty", number),
            ("type", text),
            ("twin_uid", text),
            ("image", pa.list_(text)),
            ("question", text),
            ("split", text),
        ]
    )
    schema = pa.schema(
        [
            ("data_source", text),
            ("prompt", pa.list_(pa.struct([("role", text), ("content", text)]))),
            ("images", pa.list_(pa.struct([("bytes", pa.binary())]))),
            ("ability", text),
            ("reward_model", pa.struct([("style", text), ("ground_truth", text)])),
            ("extra_info", extra),
        ]
    )
    records: list[dict[str, Any]] = [
        {
            "data_source": row.source,
            "prompt": [{"role": "user", "content": row.prompt}],
            "images": [{"bytes": (folder / image).read_bytes()} for image in row.image],
            "ability": row.capability,
            "reward_model": {"style": "rule", "ground_truth": row.answer},
            "extra_info": {
                "index": index,
                **{f.name: getattr(row, f.name) for f in extra if f.name != "index"},
            },
        }
        for index, row in enumerate(rows)
    ]
    path = folder / f"{name}.parquet"
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    pq.write_table(pa.Table.from_pylist(records, schema=schema), aside)
    os.replace(aside, path)


def _list(folder: Path, name: str, entry: dict[str, Any]) -> None:
    path = folder / INFO
    known = json.loads(path.read_text()) if path.is_file() else {}
    _write(path, json.dumps({**known, name: entry}, indent=1) + "\n")


def _write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_bytes(content.encode() if isinstance(content, str) else content)
    os.replace(aside, path)
