"""Whole sets: rows and preference pairs, in and out."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mindgpt_data.export import sharegpt, verl
from mindgpt_data.export.layout import update_dataset_info
from mindgpt_data.export.pictures import STORED_PICTURE
from mindgpt_data.schema.rows import Pair, Row, RowError
from mindgpt_plugins.answers import GoldError, parse_gold
from mindgpt_plugins.core.dataset_files import INFO, read_dataset_info
from mindgpt_plugins.core.files import FileError, read_jsonl, write_jsonl

FORMATS = ("sharegpt", "verl", "hf")


def write_set(rows: Sequence[Row], folder: Path, name: str, formats: Sequence[str] = ("sharegpt", "verl")) -> None:
    """Write ``<name>.jsonl`` and the trainers' files; sharegpt sets are listed in ``dataset_info.json``.

    Args:
        rows: at least one; their images must already lie in ``folder`` (see :func:`~mindgpt_data.export.save_image`).
        folder: the datasets folder; created when missing.
        name: letters, digits, ``_`` and ``-``.
        formats: ``sharegpt`` (``<name>.json``), ``verl`` (``<name>.parquet``), ``hf`` (``<name>.hf/``).

    Raises:
        RowError: no rows, a bad name, a duplicate uid, a gold answer that is none of its type, a missing image or an
            unknown format.
    """
    _check(rows, folder, name)
    if unknown := set(formats) - set(FORMATS):
        raise RowError(f"set {name!r}: format {sorted(unknown)[0]!r} is not one of {', '.join(FORMATS)}")
    folder.mkdir(parents=True, exist_ok=True)
    writers: dict[str, Callable[[Sequence[Row], Path, str], None]] = {
        "sharegpt": sharegpt.write_sharegpt_rows,
        "verl": verl.write_verl_rows,
        "hf": _write_hf,
    }
    for wanted in formats:
        writers[wanted](rows, folder, name)
    write_jsonl(folder / f"{name}.jsonl", (row.to_json() for row in rows))


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
    sharegpt.write_sharegpt_pairs(pairs, folder, name)
    lines = (
        {"row": p.row.to_json(), "chosen": p.chosen, "rejected": p.rejected, "pair_kind": p.pair_kind} for p in pairs
    )
    write_jsonl(folder / f"{name}.jsonl", lines)


def read_set(folder: Path, name: str) -> list[Row]:
    """Read the rows of a set.

    Raises:
        RowError: the set is missing (the message lists those there are) or a line is malformed.
    """
    return [Row.from_json(data, place) for place, data in _lines(folder, name)]


def read_preference_set(folder: Path, name: str) -> list[Pair]:
    """Read the pairs of a preference set.

    Raises:
        RowError: the set is missing or a line is malformed.
    """
    pairs = []
    for place, data in _lines(folder, name):
        try:
            row = Row.from_json(data["row"], place)
            pairs.append(Pair(row, data["chosen"], data["rejected"], data["pair_kind"]))
        except KeyError as error:
            raise RowError(f"{place}: not a preference set (no {error})") from None
    return pairs


def list_sets(folder: Path) -> list[str]:
    """Names of the sets in a datasets folder: those listed, in the order they were written, then the others by name."""
    listed = list(read_dataset_info(folder))
    return listed + sorted(path.stem for path in folder.glob("*.jsonl") if path.stem not in listed)


def remove_set(folder: Path, name: str) -> None:
    """Take a set's files and its entry away; its pictures stay until :func:`remove_unused_pictures`."""
    if name in read_dataset_info(folder):
        update_dataset_info(folder, name, None)
    for suffix in ("json", "jsonl", "parquet"):
        (folder / f"{name}.{suffix}").unlink(missing_ok=True)
    shutil.rmtree(folder / f"{name}.hf", ignore_errors=True)


def remove_unused_pictures(folder: Path) -> int:
    """Remove pictures that no set of a datasets folder names: a killed export, or one of other rows, left them.

    Whoever calls this knows that nobody else is exporting into the folder. A file counts as named when its name stands
    anywhere in a ``.json`` or ``.jsonl`` file beside ``images/``, so that sets of other makers keep theirs.

    Returns:
        How many.
    """
    unused = {path.name for path in (folder / "images").glob("*") if STORED_PICTURE.fullmatch(path.name.encode())}
    for path in (*folder.glob("*.json"), *folder.glob("*.jsonl")):
        if unused:
            with path.open("rb") as file:
                for line in file:
                    unused -= {name.decode() for name in STORED_PICTURE.findall(line)}
    for name in unused:
        (folder / "images" / name).unlink(missing_ok=True)
    return len(unused)


def _write_hf(rows: Sequence[Row], folder: Path, name: str) -> None:
    try:
        import datasets  # noqa: F401
    except ImportError as error:
        raise RowError(
            f"set {name!r}: format hf needs the package datasets ({error}); pip install 'mindgpt-plugins[data]', "
            "or leave hf out of export.formats"
        ) from None
    from mindgpt_data.export import hf

    hf.write_hf_rows(rows, folder, name)


def _lines(folder: Path, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    path = folder / f"{name}.jsonl"
    if not path.is_file():
        raise RowError(f"there is no set {name!r} in {folder}; it lists: {', '.join(list_sets(folder)) or 'none'}")
    try:
        yield from read_jsonl(path)
    except FileError as error:
        raise RowError(str(error)) from None


def _check(rows: Sequence[Row], folder: Path, name: str, unique: bool = True) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name) or name == Path(INFO).stem:
        raise RowError(f"set name {name!r} may only hold letters, digits, '_' and '-', and not be dataset_info")
    if not rows:
        raise RowError(f"set {name!r} would be empty; a set needs at least one item")
    uids: set[str] = set()
    for row in rows:
        if unique and row.uid in uids:
            raise RowError(f"set {name!r}: uid {row.uid!r} occurs twice")
        uids.add(row.uid)
        if row.type != "open":  # graded by a judge, against no gold answer
            try:
                parse_gold(row.answer, row.answer_type, question=row.question, boxes=row.boxes)
            except GoldError as error:
                raise RowError(f"set {name!r}: row {row.uid!r}: {error}") from None
    # Each file once: sets of thousands of rows share images.
    for image in {image for row in rows for image in row.image}:
        if not (folder / image).is_file():
            raise RowError(f"set {name!r}: image {image!r} is not in {folder}; save it there before writing the set")
