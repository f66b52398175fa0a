"""A folder of pictures, searched recursively in a fixed order."""

from __future__ import annotations

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

    def refused(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise CorpusError(f"{folder} cannot be listed: {error.strerror}; check its permissions") from None
        corpus.drop(
            "folder", "folder cannot be listed", make_image_id([Path(error.filename)], folder), str(error.strerror)
        )

    for at, names in walk_user_folder(folder, refused):
        if names is None:
            key, detail = make_image_id([Path(at)], folder), f"it holds {MARK}; to have it read, name it as the corpus"
            corpus.drop("folder", "folder of our own output", key, detail)
            continue
        for name in names:
            path = Path(at, name)
            if path.suffix.lower() not in SUFFIXES:
                continue
            if not _is_text(name) or not _is_text(at):
                corpus.drop("folder", "file name is not UTF-8", make_image_id([path], folder), "rename it")
                continue
            name_in_corpus = make_image_id([path], folder)
            corpus.records.append(ImageRecord(name_in_corpus, [str(path)], 0, 0, "", source=source))
    if not corpus.records and not corpus.drops:
        raise CorpusError(f"{folder} holds no picture ({', '.join(sorted(SUFFIXES))})")
    corpus.records.sort(key=lambda record: record.image)
    return corpus


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
