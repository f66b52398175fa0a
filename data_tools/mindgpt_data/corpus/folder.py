"""A folder of pictures, searched recursively in a fixed order."""

from __future__ import annotations

import os
from pathlib import Path

from mindgpt_data.corpus.base import Corpus, CorpusError, make_image_id
from mindgpt_data.schema.record import ImageRecord
from mindgpt_plugins.core.own_folders import MARK, walk_user_folder

SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("png", "apng", "jpg", "jpeg", "jpe", "jfif", "gif", "bmp", "dib", "webp", "tif", "tiff"),
        *("ppm", "pgm", "pbm", "pnm", "tga", "ico", "jp2", "avif"),
    )
)
"""Files with other endings are no pictures of the corpus: captions and licences lie there too."""


def read_picture_folder(folder: Path, source: str) -> Corpus:
    """Every picture below ``folder``, sorted by path, without hidden files and folders and without our own output.

    Raises:
        CorpusError: the folder itself cannot be listed, or holds no picture.
    """
    folder = folder.resolve()
    corpus = Corpus()
    for name in list_picture_names(folder, corpus):
        corpus.records.append(ImageRecord(name, [f"{folder}{os.sep}{name}"], 0, 0, "", source=source))
    if not corpus.records and not corpus.drops:
        raise CorpusError(f"{folder} holds no picture ({', '.join(sorted(SUFFIXES))})")
    return corpus


def list_picture_names(folder: Path, told: Corpus | None = None) -> list[str]:
    """Paths of all pictures below ``folder`` from there, sorted.

    Args:
        folder: where to look.
        told: gets what is left out.

    Raises:
        CorpusError: the folder itself cannot be listed.
    """
    told = Corpus() if told is None else told
    found: list[str] = []

    def refused(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise CorpusError(f"{folder} cannot be listed: {error.strerror}; check its permissions") from None
        told.drop(
            "folder", "folder cannot be listed", make_image_id([Path(error.filename)], folder), str(error.strerror)
        )

    for at, names in walk_user_folder(folder, refused):
        below = "" if at == str(folder) else f"{Path(at).relative_to(folder).as_posix()}/"
        if names is None:
            detail = f"it holds {MARK}; to have it read, name it as the corpus"
            told.drop("folder", "folder of our own output", below, detail)
            continue
        for name in names:
            if name[name.rfind(".") :].lower() not in SUFFIXES:
                continue
            if not (name.isascii() and below.isascii()) and not _is_text(below + name):
                told.drop("folder", "file name is not UTF-8", below + name, "rename it")
                continue
            found.append(below + name)
    return sorted(found)


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
