"""Reads a corpus: a folder of pictures, a manifest, or COCO annotations. Files are named here and opened later."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from mindgpt_data.corpus import coco, folder, manifest
from mindgpt_data.corpus.base import Corpus, CorpusError
from mindgpt_data.schema.record import ImageRecord
from mindgpt_plugins.core.stamps import ReadFiles

__all__ = ["Corpus", "CorpusError", "find_corpus_files", "read_corpus"]


def read_corpus(path: Path, source: str = "domain", boxes: str | None = None) -> Corpus:
    """Read a corpus.

    Args:
        path: a folder (searched recursively), a manifest ``.jsonl``, or COCO annotations ``.json``.
        source: source of every record whose manifest names none.
        boxes: convention of the boxes whose line declares none; None: that of COCO for its files, unknown for others.

    Raises:
        CorpusError: missing, unreadable, of no known kind, or an image id occurs twice.
    """
    if path.is_dir():
        corpus = folder.read_picture_folder(path, source)
    elif path.suffix.lower() in (".jsonl", ".ndjson") and path.is_file():
        corpus = manifest.read_manifest(path, source, boxes)
    elif path.suffix.lower() == ".json" and path.is_file():
        corpus = coco.read_coco_file(path, source, boxes)
    elif path.exists():
        raise CorpusError(f"{path} is no corpus: give a folder of pictures, a manifest (.jsonl) or COCO (.json)")
    else:
        raise CorpusError(f"{path} does not exist: give a folder of pictures, a manifest (.jsonl) or COCO (.json)")
    _check_unique(corpus.records, path)
    return corpus


def find_corpus_files(path: Path) -> ReadFiles:
    """Which files :func:`read_corpus` reads: the manifest or annotations, and the pictures that they or a folder name.

    Videos do not count: they are passed through unread.
    """
    if path.is_dir():
        return ReadFiles(path, media=lambda: folder.list_picture_names(path), way="corpus")
    lists = _list_coco_pictures if path.suffix.lower() == ".json" else manifest.list_manifest_pictures
    return ReadFiles(path.parent, {path.name: path}, lambda: lists(path), way="corpus")


def _list_coco_pictures(path: Path) -> Iterator[str]:
    root = f"{path.resolve().parent}{os.sep}"
    for record in read_corpus(path).records:
        yield from (one.removeprefix(root) for one in record.paths)


def _check_unique(records: list[ImageRecord], path: Path) -> None:
    seen: dict[str, int] = {}
    for number, record in enumerate(records, 1):
        if record.image in seen:
            raise CorpusError(
                f"{path}: image id {record.image!r} occurs twice (records {seen[record.image]} and {number}); ids are "
                f'unique in a corpus: merge the two, or give one an "id" of its own in a manifest'
            )
        seen[record.image] = number
