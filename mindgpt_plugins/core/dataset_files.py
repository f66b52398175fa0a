"""Reads the sets of a datasets folder as LLaMA-Factory 0.9.5 does, row by row. No host import.

A folder's ``dataset_info.json`` names its sets: a file or a folder of parts each, and what its columns are called. The
host loads JSON (an array, or an object per line, whatever the file is called), Parquet, Arrow, CSV and plain text
through ``datasets``; this reads the same files to the same rows, without keeping them: a set may not fit into memory.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from mindgpt_plugins.core.errors import InputError
from mindgpt_plugins.core.files import BYTE_ORDER_MARK, FileError, read_json, read_jsonl
from mindgpt_plugins.core.json_text import check_json_depth
from mindgpt_plugins.core.registry import hint_nearest

INFO = "dataset_info.json"
KINDS = {"json": "json", "jsonl": "json", "parquet": "parquet", "arrow": "arrow", "csv": "csv", "txt": "text"}
"""File name ending → how the host loads it (its ``FILEEXT2TYPE``)."""
_COLUMNS = {"prompt": "instruction", "query": "input", "response": "output", "messages": "conversations"}
"""What the host calls columns in an entry without ``columns``; with ``columns``, only what it names is read."""
_ELSEWHERE = ("hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name")
_BLOCK = 1 << 20


class DatasetError(FileError):
    """A set cannot be read; the message names the set, the file and the row."""


@dataclass(frozen=True)
class SetRow:
    """One row of a set, as it stands in the file.

    Attributes:
        data: column → value.
        number: position in the whole set, from 0.
        file: it is in.
    """

    data: dict[str, Any]
    number: int
    file: Path

    @property
    def place(self) -> str:
        """The row for a message: its number and, where it has one, its uid."""
        uid = self.data.get("uid")
        return f"row {self.number}" + (f" (uid {uid})" if uid is not None else "")


@dataclass(frozen=True)
class SetInfo:
    """A set's entry in ``dataset_info.json``."""

    folder: Path
    name: str
    entry: Mapping[str, Any]

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The set's file, or the parts of its folder in the order in which the host reads them.

        Raises:
            DatasetError: it is no local file, does not exist, or the host does not load such files.
        """
        elsewhere = next((key for key in _ELSEWHERE if key in self.entry), None)
        if elsewhere or "file_name" not in self.entry:
            what = f"comes from elsewhere ({elsewhere})" if elsewhere else "names no file_name"
            raise DatasetError(f"set {self.name!r} of {self.folder / INFO} {what}; only local files can be read here")
        path = self.folder / str(self.entry["file_name"])
        # Unsorted on purpose: the host takes the parts as the file system lists them, and order decides a curriculum.
        parts = tuple(path / name for name in os.listdir(path)) if path.is_dir() else (path,)
        if not path.exists():
            raise DatasetError(f"set {self.name!r}: file {path} does not exist")
        if not parts:
            raise DatasetError(f"set {self.name!r}: folder {path} is empty")
        kinds = {KINDS.get(part.suffix[1:]) if part.is_file() else None for part in parts}
        if None in kinds:
            odd = next(part for part in parts if not part.is_file() or part.suffix[1:] not in KINDS)
            raise DatasetError(
                f"set {self.name!r}: {odd} is not read by LLaMA-Factory; it reads files that end in "
                + ", ".join(f".{ending}" for ending in KINDS)
            )
        if len(kinds) > 1:
            raise DatasetError(
                f"set {self.name!r}: {path} holds files of several kinds: {', '.join(sorted(filter(None, kinds)))}"
            )
        return parts

    @property
    def kind(self) -> str:
        """How the host loads the files: json, parquet, arrow, csv or text.

        Raises:
            DatasetError: as for :attr:`files`.
        """
        return KINDS[self.files[0].suffix[1:]]

    @property
    def formatting(self) -> str:
        """alpaca, sharegpt or openai."""
        return str(self.entry.get("formatting", "alpaca"))

    @property
    def columns(self) -> Mapping[str, str]:
        """The host's word for a column (``messages``, ``images``, …) → what the rows call it."""
        return dict(self.entry.get("columns", _COLUMNS))

    def column(self, key: str) -> str | None:
        """What the rows call a column; None for one that the host does not read."""
        return self.columns.get(key)

    def media(self, row: Mapping[str, Any], key: str = "images") -> list[Any]:
        """Pictures (or ``videos``) of a row; a single one, as in LLaVA's ``"image": "a.jpg"``, is a list of one."""
        name = self.column(key)
        value = row.get(name) if name is not None else None
        if value is None:
            return []
        return list(value) if isinstance(value, (list, tuple)) else [value]


def read_dataset_info(folder: Path) -> dict[str, Any]:
    """``dataset_info.json`` of a datasets folder; empty when there is none.

    Raises:
        DatasetError: it is no JSON object.
    """
    path = folder / INFO
    try:
        found = read_json(path) if path.is_file() else {}
    except FileError as error:
        raise DatasetError(str(error)) from None
    if not isinstance(found, dict):
        raise DatasetError(f"{path}: must be a JSON object (set → entry), got {type(found).__name__}")
    return found


def read_set_info(folder: Path, name: str) -> SetInfo:
    """The entry of a set.

    Raises:
        DatasetError: there is no ``dataset_info.json`` or it does not list the set.
    """
    if not (folder / INFO).is_file():
        raise DatasetError(f"{folder} has no {INFO}")
    known = read_dataset_info(folder)
    if not isinstance(known.get(name), dict):
        raise DatasetError(
            f"{folder / INFO} lists no set {name!r}; it has: {', '.join(known) or 'none'}{hint_nearest(name, known)}"
        )
    return SetInfo(folder, name, known[name])


def read_set_rows(folder: Path, name: str) -> Iterator[SetRow]:
    """Rows of a set in the host's order, one at a time.

    Raises:
        DatasetError: the set is not listed, a file is missing or malformed, or a row is no object.
    """
    info = read_set_info(folder, name)
    number = 0
    for file in info.files:
        for data in _rows_of_set(info, file):
            yield SetRow(data, number, file)
            number += 1


def _rows_of_set(info: SetInfo, file: Path) -> Iterator[dict[str, Any]]:
    try:
        yield from read_rows(file)
    except FileError as error:
        raise DatasetError(f"set {info.name!r}: {error}") from None


def read_rows(file: Path) -> Iterator[dict[str, Any]]:
    """Rows of one file of any of :data:`KINDS`.

    Raises:
        FileError: it is malformed; the message names file and place.
    """
    readers = {"json": _json_rows, "parquet": _table_rows, "arrow": _table_rows, "csv": _csv_rows, "text": _text_rows}
    yield from readers[KINDS[file.suffix[1:]]](file)


def read_batches(file: Path) -> Iterator[Any]:
    """Record batches (``pyarrow.RecordBatch``) of a Parquet or Arrow file; at least one, for its schema.

    Raises:
        FileError: it is neither.
    """
    import pyarrow as pa
    from pyarrow import ipc, parquet

    try:
        if file.suffix == ".parquet":
            table = parquet.ParquetFile(file)
            yield pa.RecordBatch.from_pylist([], schema=table.schema_arrow)
            yield from table.iter_batches(batch_size=256)  # rows may hold pictures
            return
        with pa.memory_map(str(file)) as source:
            try:
                stream = ipc.open_stream(source)
                yield pa.RecordBatch.from_pylist([], schema=stream.schema)
                yield from stream
            except pa.ArrowInvalid:  # the other of Arrow's two layouts; nothing of the first has been given out
                source.seek(0)
                whole = ipc.open_file(source)
                yield pa.RecordBatch.from_pylist([], schema=whole.schema)
                yield from (whole.get_batch(i) for i in range(whole.num_record_batches))
    except (OSError, pa.ArrowInvalid) as error:
        raise FileError(f"{file} is no readable {file.suffix[1:]} file: {error}") from None


def _table_rows(file: Path) -> Iterator[dict[str, Any]]:
    for batch in read_batches(file):
        yield from batch.to_pylist()


def _csv_rows(file: Path) -> Iterator[dict[str, Any]]:
    import pandas
    import pyarrow as pa

    try:
        for frame in pandas.read_csv(file, chunksize=10_000):
            yield from pa.Table.from_pandas(frame, preserve_index=False).to_pylist()
    except ValueError as error:  # pandas' ParserError is one
        raise FileError(f"{file} is not valid CSV: {error}") from None


def _text_rows(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        yield from ({"text": line.rstrip("\n")} for line in lines)


def _json_rows(file: Path) -> Iterator[dict[str, Any]]:
    """An array where the file begins with ``[``, else an object per line."""
    with file.open(encoding="utf-8-sig", newline="") as text:
        try:
            start = text.read(_BLOCK)
            while start and not start.strip():
                start = text.read(_BLOCK)
            if start.lstrip().startswith("["):
                with file.open("rb") as raw:
                    if raw.read(len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK:
                        # Arrow skips the mark before lines, pandas does not before an array: the host would fail.
                        raise FileError(
                            f"{file} begins with a byte-order mark, which LLaMA-Factory does not read before an array; "
                            "save it as UTF-8 without one"
                        )
                yield from _array_rows(file, start, text)
                return
        except UnicodeDecodeError as error:
            raise FileError(f"{file} is not valid JSON: {error}") from None
    yield from (data for _, data in read_jsonl(file))


def _array_rows(file: Path, start: str, text: IO[str]) -> Iterator[dict[str, Any]]:
    """Objects of a JSON array, decoded one at a time from blocks of the file."""
    decoder = json.JSONDecoder()
    buffer, at, before, number = start, start.index("[") + 1, 0, 0
    comma = False
    """Whether a comma must come before the next object."""
    block = _BLOCK
    while True:
        at = _skip(buffer, at)
        more = ""
        if at < len(buffer):
            if buffer[at] == "]" and (comma or not number):
                if (buffer[at + 1 :] + text.read()).strip():
                    raise FileError(f"{file} is not valid JSON: text after the array")
                return
            if comma and buffer[at] == ",":
                at, comma = at + 1, False
                continue
            if not comma:
                try:
                    data, end = decoder.raw_decode(buffer, at)
                except RecursionError:
                    raise FileError(f"{file}: row {number}: nested deeper than anything that is meant") from None
                except json.JSONDecodeError as error:
                    # Perhaps only cut off here. Blocks double, so that a long row costs no quadratic time.
                    more = text.read(block)
                    block *= 2
                    if not more:
                        where = f"row {number}, character {before + error.pos} of the file"
                        raise FileError(f"{file} is not valid JSON: {error.msg} ({where})") from None
                else:
                    if not isinstance(data, dict):
                        raise FileError(f"{file}: row {number} must be a JSON object, got {type(data).__name__}")
                    try:
                        check_json_depth(data)
                    except InputError as error:
                        raise FileError(f"{file}: row {number}: {error}") from None
                    yield data
                    at, comma, number, block = end, True, number + 1, _BLOCK
                    continue
            else:
                where = f"after row {number - 1}, character {before + at} of the file"
                raise FileError(f"{file} is not valid JSON: ',' or ']' is missing {where}")
        else:
            more = text.read(_BLOCK)
            if not more:
                raise FileError(f"{file} is not valid JSON: it ends in the middle of the array, after {number} rows")
        buffer, before, at = buffer[at:] + more, before + at, 0


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def pick_even_positions(total: int, most: int) -> Sequence[int]:
    """Positions of at most ``most`` of ``total`` rows, evenly over them."""
    return range(0, total, max(1, -(-total // most)))
