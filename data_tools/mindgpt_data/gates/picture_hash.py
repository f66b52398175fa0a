"""Perceptual hashes of pictures, computed once per content and kept beside the other files of the work folder."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mindgpt_data import engines
from mindgpt_plugins.core.files import cut_torn_line, dump_json_line, read_json_lines

if TYPE_CHECKING:
    from PIL.Image import Image

FILE = "hashes.jsonl"
INLINE = 64
"""Up to this many pictures are hashed in this process: starting workers would cost more."""
FLAT = 2.0
"""Standard deviation of grey levels below which a picture has nothing to hash: all blank pictures would be alike."""


def compute_perceptual_hash(image: Image) -> int | None:
    """64-bit pHash (imagehash); None for a picture that is all but one colour."""
    import imagehash
    import numpy as np

    small = image.convert("L")
    small.thumbnail((256, 256))
    if np.asarray(small, dtype=np.float32).std() < FLAT:
        return None
    return int(str(imagehash.phash(small)), 16)


def _hash_file(path: Path, max_megapixels: float) -> int | None:
    from mindgpt_data.io.images import open_image

    return compute_perceptual_hash(open_image(path, max_megapixels))


class PictureHashes:
    """Content → hash, appended to a file as they are made, so that a killed run goes on where it was."""

    def __init__(self, folder: Path, max_megapixels: float) -> None:
        self._path, self._limit = folder / FILE, max_megapixels
        self._known: dict[str, int | None] = {}
        if self._path.is_file():
            self._known = {content: value for _, (content, value) in read_json_lines(self._path, torn="drop")}

    def of(self, pictures: Mapping[str, Path]) -> dict[str, int]:
        """Hashes of ``content → file``; flat pictures, and files that cannot be read, are left out."""
        missing = [(content, path) for content, path in pictures.items() if content not in self._known]
        if missing:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            cut_torn_line(self._path)
            function = functools.partial(_hash_file, max_megapixels=self._limit)
            paths = [path for _, path in missing]
            outcomes = engines.map_items(function, paths, inline=INLINE)
            with self._path.open("a", encoding="utf-8") as file:
                for (content, _), outcome in zip(missing, outcomes, strict=True):
                    # A picture that cannot be read has no hash: `images` and `export` leave it out and say why.
                    self._known[content] = outcome.value
                    file.write(dump_json_line([content, outcome.value]) + "\n")
                    file.flush()
        return {content: value for content in pictures if (value := self._known[content]) is not None}
