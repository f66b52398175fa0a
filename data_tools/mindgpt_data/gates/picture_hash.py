"""Perceptual hashes of pictures, computed once per content and kept beside the other files of the work folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mindgpt_data.rows import dumps

if TYPE_CHECKING:
    from PIL.Image import Image

FILE = "hashes.jsonl"
FLAT = 2.0
"""Standard deviation of grey levels below which a picture has nothing to hash: all blank pictures would be alike."""


def picture_hash(image: Image) -> int | None:
    """64-bit pHash (imagehash); None for a picture that is all but one colour."""
    import imagehash
    import numpy as np

    small = image.convert("L")
    small.thumbnail((256, 256))
    if np.asarray(small, dtype=np.float32).std() < FLAT:
        return None
    return int(str(imagehash.phash(small)), 16)


class PictureHashes:
    """Content → hash, appended to a file as they are made, so that a killed run goes on where it was."""

    def __init__(self, folder: Path, max_megapixels: float) -> None:
        self._path, self._limit = folder / FILE, max_megapixels
        self._known: dict[str, int | None] = {}
        if self._path.is_file():
            for line in self._path.read_text(encoding="utf-8").splitlines():
                try:
                    content, value = json.loads(line)
                except ValueError:  # the line a killed run was writing
                    continue
                self._known[content] = value

    def of(self, pictures: Mapping[str, Path]) -> dict[str, int]:
        """Hashes of ``content → file``; flat pictures, and files that cannot be read, are left out."""
        from mindgpt_data.images import ImageError, open_image

        missing = [(content, path) for content, path in pictures.items() if content not in self._known]
        if missing:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                for content, path in missing:
                    try:
                        value = picture_hash(open_image(path, self._limit))
                    except ImageError:  # `images` and `export` drop it with its reason; here it only has no hash
                        value = None
                    self._known[content] = value
                    file.write(dumps([content, value]) + "\n")
                    file.flush()
        return {content: value for content in pictures if (value := self._known[content]) is not None}
