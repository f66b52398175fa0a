"""Pictures that adversarial twins show: one colour, or with something covered."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mindgpt_plugins.core.files import replace_file
from mindgpt_plugins.core.own_folders import mark_own_folder

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 1_048_576
"""New pictures are scaled down to this: they are PNG."""
GREY = (128, 128, 128)
MARGIN = 0.05
"""Of a box's sides, covered beyond them: annotated boxes cut edges off."""


def save_blank_picture(width: int, height: int, shade: int, folder: Path) -> str:
    """A picture of one grey in the partner's proportions; returns its name relative to ``folder``."""
    from PIL import Image

    by = min(1.0, math.sqrt(MAX_PIXELS / (width * height)))
    size = max(1, round(width * by)), max(1, round(height * by))
    return _save(Image.new("RGB", size, (shade, shade, shade)), folder)


def save_covered_picture(path: Path, boxes: Sequence[Sequence[float]], folder: Path) -> str:
    """The picture with grey boxes; returns its name relative to ``folder``.

    Raises:
        ImageError: it cannot be opened.
    """
    from PIL import ImageDraw

    from mindgpt_data.client.images import shrink_image
    from mindgpt_data.io.images import open_image

    image = open_image(path).copy()
    pen = ImageDraw.Draw(image)
    for x0, y0, x1, y1 in boxes:
        dx, dy = 1 + MARGIN * (x1 - x0), 1 + MARGIN * (y1 - y0)
        pen.rectangle((x0 - dx, y0 - dy, x1 + dx, y1 + dy), fill=GREY)
    return _save(shrink_image(image, MAX_PIXELS), folder)


def _save(image: Image, folder: Path) -> str:
    name = f"adversarial/{hashlib.sha256(f'{image.size}'.encode() + image.tobytes()).hexdigest()[:16]}.png"
    path = folder / name
    if not path.is_file():
        mark_own_folder(path.parent)
        with replace_file(path, sync=False) as aside:
            image.save(aside, "PNG")
    return name
