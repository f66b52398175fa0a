"""Small pictures inside the page."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mindgpt_data.gates.batch import find_picture_paths
from mindgpt_data.io.images import ImageError, open_image
from mindgpt_data.schema.record import ImageRecord

SIDE = 160
"""Longest side in pixels."""
QUALITY = 72
"""Of the JPEG: about 4 kB each."""


@dataclass
class Thumbs:
    """Makes each picture's thumbnail once, however often it is shown.

    Attributes:
        records: image id → its files.
        folder: the work folder, for pictures that a step made.
        made: image id → its data URI.
        unread: image id → why there is no thumbnail.
    """

    records: Mapping[str, ImageRecord]
    folder: Path
    made: dict[str, str] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)

    def show(self, image: str) -> tuple[str, str]:
        """The data address of one thumbnail, or why there is none; the other is empty."""
        if image not in self.made and image not in self.unread:
            self._make(image)
        return self.made.get(image, ""), self.unread.get(image, "")

    def _make(self, image: str) -> None:
        try:
            paths = find_picture_paths(image, self.records, self.folder)
        except (ValueError, OSError):
            self.unread[image] = "picture not found"
            return
        # The corpus is the list of what may be shown; beside it a row may name what a step made, in the work folder.
        if image not in self.records and not Path(os.path.abspath(paths[0])).is_relative_to(self.folder.absolute()):
            self.unread[image] = "picture lies outside the work folder"
            return
        try:
            shown = open_image(paths[0])
        except (ImageError, IndexError) as error:
            self.unread[image] = error.reason if isinstance(error, ImageError) else "no file"
            return
        shown.thumbnail((SIDE, SIDE))
        buffer = io.BytesIO()
        shown.save(buffer, format="JPEG", quality=QUALITY, optimize=True)
        self.made[image] = f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
