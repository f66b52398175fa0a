"""Plain files between the steps: JSON lines and tables, written aside and renamed, checked when read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any


class FileError(ValueError):
    """A file between two steps is missing or malformed; the message names the file, the place and the step to run."""


def dumps(data: Any) -> str:
    """One compact JSON line; non-ASCII text stays readable."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def write_text(path: Path, content: str) -> None:
    """Replace ``path`` in one move: a killed writer leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(content, encoding="utf-8")
    os.replace(aside, path)


def write_jsonl(path: Path, records: Iterable[Mapping[str, Any]]) -> int:
    """Write one JSON object per line, streaming; returns how many."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    count = 0
    with aside.open("w", encoding="utf-8") as file:
        for record in records:
            file.write(dumps(record) + "\n")
            count += 1
    os.replace(aside, path)
    return count


def read_jsonl(path: Path, made_by: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield ``(place, object)`` per line; ``place`` is for error messages.

    Args:
        path: the file.
        made_by: the verb that writes it, named when it is missing.

    Raises:
        FileError: missing, not UTF-8, or a line that is no JSON object.
    """
    if not path.is_file():
        raise FileError(f"{path} does not exist{f'; run `mindgpt data {made_by}` first' if made_by else ''}")
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            place = f"{path} line {number}"
            try:
                data = json.loads(line)
            except (UnicodeDecodeError, json.JSONDecodeError) as error:
                raise FileError(f"{place}: not JSON in UTF-8: {error}") from None
            if not isinstance(data, dict):
                raise FileError(f"{place}: must be a JSON object, got {type(data).__name__}")
            yield place, data


def write_table(path: Path, records: list[dict[str, Any]], columns: Mapping[str, str]) -> None:
    """Write a Parquet table.

    Args:
        path: ends with ``.parquet``.
        records: one dict per row.
        columns: name → ``string``, ``double`` or ``int64``, in order; every record has exactly these.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"string": pa.string(), "double": pa.float64(), "int64": pa.int64()}
    schema = pa.schema([(name, types[kind]) for name, kind in columns.items()])
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    pq.write_table(pa.Table.from_pylist(records, schema=schema), aside)
    os.replace(aside, path)


def read_table(path: Path, columns: Iterable[str], made_by: str = "") -> list[dict[str, Any]]:
    """Read a Parquet table that must have ``columns`` (more are kept).

    Raises:
        FileError: missing, unreadable, or a column is not there.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise FileError(f"{path} does not exist{f'; run `mindgpt data {made_by}` first' if made_by else ''}")
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise FileError(f"{path} is no readable Parquet file: {error}") from None
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise FileError(f"{path} has no column {missing[0]!r}; it has: {', '.join(table.column_names)}")
    records: list[dict[str, Any]] = table.to_pylist()
    return records
