"""Plain files between processes: replaced in one move, JSON lines read by one rule, tables checked when read.

Every file that another process may read is written aside, flushed to the disk and renamed (:func:`replace_file`), so a
reader, or a run that goes on after a kill, finds the old content or the new, never half of it. The exception is a log
that grows line by line (``metrics.jsonl``, answers of a batch): a kill can cut its last line, see :func:`read_jsonl`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from mindgpt_plugins.core.json_text import parse_json_text

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""What Windows tools put in front of UTF-8 text; it means nothing there."""


class FileError(ValueError):
    """A file between two steps is missing or malformed; the message names the file, the place and the step to run."""


@contextmanager
def replace_file(path: Path, *, sync: bool = True, alone: bool = False) -> Iterator[Path]:
    """Give a path to write to, which replaces ``path`` when the block ends well and is removed when it does not.

    The folder is made. Readers never see half of the file, and its content is on the disk before its name is: without
    the fsync, a machine that loses power can keep the rename and lose what was written.

    Args:
        path: of the file.
        sync: False leaves the fsync out, which takes some milliseconds: for pictures, of which there are thousands.
        alone: no other process writes this file, so that what a killed one left aside is written over: for weights.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = _aside(path, alone)
    try:
        with name_in_errors(path):
            yield aside
            if sync:
                with aside.open("rb") as written:
                    os.fsync(written.fileno())
            os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


@contextmanager
def replace_folder(path: Path, *, alone: bool = False) -> Iterator[Path]:
    """Give a folder to fill, which replaces ``path`` when the block ends well; see :func:`replace_file` for ``alone``.

    A folder that is not empty cannot be replaced in one step: a kill between the two leaves none, never half of one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = _aside(path, alone)
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        with name_in_errors(path):
            yield aside
            shutil.rmtree(path, ignore_errors=True)
            os.replace(aside, path)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _aside(path: Path, alone: bool) -> Path:
    # The process id keeps two writers apart; neither name ends as the file's does, so that no glob finds it.
    return path.with_name(f".{path.name}.{'part' if alone else os.getpid()}")


_ASIDE = re.compile(r"\..+\.(?P<writer>\d+|part)")


def remove_leftovers(folder: Path) -> list[Path]:
    """Remove what killed writers left aside anywhere below a folder, and return it.

    Whoever calls this holds the lock of the folder. What a living process is writing stays all the same: not every
    writer asks for the lock.
    """
    removed = []
    for parent, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            if not _is_leftover(name):
                continue
            path = Path(parent) / name
            if name in folders:
                folders.remove(name)
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
            removed.append(path)
    return removed


def _is_leftover(name: str) -> bool:
    match = _ASIDE.fullmatch(name)
    return match is not None and (match["writer"] == "part" or not _lives(int(match["writer"])))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True


@contextmanager
def name_in_errors(path: Path) -> Iterator[None]:
    """Give an ``OSError`` without a path this one: a full disk is met while writing, where Python names no file."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise


def write_bytes(path: Path, content: bytes, *, sync: bool = True) -> None:
    """Replace a file's content in one move; see :func:`replace_file` for ``sync``."""
    with replace_file(path, sync=sync) as aside:
        aside.write_bytes(content)


def write_text(path: Path, content: str | Iterable[str]) -> None:
    """Replace a text file in one move; the text may come in pieces."""
    with replace_file(path) as aside, aside.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines([content] if isinstance(content, str) else content)


def dump_json_line(data: Any) -> str:
    """One compact JSON line; non-ASCII text stays readable."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def replace_link(path: Path, target: str) -> None:
    """Let a symbolic link point elsewhere in one move, also while others do so; what killed ones left aside goes."""
    for entry in os.scandir(path.parent):
        if entry.name.startswith(f".{path.name}.") and entry.is_symlink() and _is_leftover(entry.name):
            Path(entry.path).unlink(missing_ok=True)
    with replace_file(path, sync=False) as aside:
        aside.symlink_to(target)


def write_json(path: Path, data: Any) -> None:
    """Replace a JSON file in one move; it is indented for the eye."""
    write_text(path, json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Parse a JSON file in UTF-8; a byte-order mark is skipped.

    Raises:
        FileNotFoundError: there is none.
        FileError: it is empty, or not JSON in UTF-8.
    """
    content = path.read_bytes().removeprefix(BYTE_ORDER_MARK)
    if not content.strip():
        raise FileError(f"{path} is empty")
    try:
        return parse_json_text(content.decode("utf-8"))
    except ValueError as error:
        raise FileError(f"{path} is not JSON in UTF-8: {error}") from None


def write_jsonl(path: Path, records: Iterable[Any]) -> int:
    """Replace a file with one JSON value per line, streaming; returns how many."""
    count = 0

    def lines() -> Iterator[str]:
        nonlocal count
        for record in records:
            yield dump_json_line(record) + "\n"
            count += 1

    write_text(path, lines())
    return count


def read_jsonl(
    path: Path, made_by: str = "", *, torn: Literal["error", "drop"] = "error"
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield ``(place, object)`` per line, streaming; ``place`` is for error messages.

    Lines end at a newline and nowhere else: U+2028 and its like may stand in a JSON string. Blank lines are skipped.

    Args:
        path: the file.
        made_by: the verb that writes it, named when it is missing.
        torn: what a last line without its newline is. ``error``: a line like any other, for files that were replaced in
            one move or come from elsewhere. ``drop``: the line that a kill cut short, for files that are appended to;
            it is left out even where it happens to be whole, since whoever goes on cuts it (:func:`cut_torn_line`).

    Raises:
        FileError: missing, not UTF-8, or a line that is no JSON object.
    """
    for place, data in read_json_lines(path, made_by, torn=torn):
        if not isinstance(data, dict):
            raise FileError(f"{place}: must be a JSON object, got {type(data).__name__}")
        yield place, data


def load_jsonl(path: Path, *, torn: Literal["error", "drop"] = "error") -> list[dict[str, Any]]:
    """All objects of a file, as :func:`read_jsonl` reads them, for files that fit into memory."""
    return [record for _, record in read_jsonl(path, torn=torn)]


def read_json_lines(
    path: Path, made_by: str = "", *, torn: Literal["error", "drop"] = "error"
) -> Iterator[tuple[str, Any]]:
    """As :func:`read_jsonl`, for lines that may be any JSON value.

    Raises:
        FileError: missing, not UTF-8, or a line that is no JSON.
    """
    if not path.is_file():
        raise FileError(f"{path} does not exist{f'; run `mindgpt data {made_by}` first' if made_by else ''}")
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if torn == "drop" and not line.endswith(b"\n"):
                return
            text = line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
            if not text.strip():
                continue
            place = f"{path} line {number}"
            try:
                data = parse_json_text(text.decode("utf-8"))
            except ValueError as error:
                raise FileError(f"{place}: not JSON in UTF-8: {error}") from None
            yield place, data


def cut_torn_line(path: Path) -> None:
    """Cut a last line without its newline off a file that is about to be appended to, if the file is there."""
    if not path.is_file():
        return
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - (1 << 16))
            file.seek(start)
            at = file.read(end - start).rfind(b"\n")
            if at >= 0:
                end = start + at + 1
                break
            end = start
        file.truncate(end)


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
    with replace_file(path) as aside:
        pq.write_table(pa.Table.from_pylist(records, schema=schema), aside)


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
