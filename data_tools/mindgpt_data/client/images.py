"""Pictures as they are sent: upright, within a pixel budget, encoded once per request.

Drawings, charts and screenshots (few colours) go as PNG, which is smaller for them and keeps text sharp; photographs go
as JPEG at quality 90 with full colour resolution, a tenth of the size. Nothing is kept: a request is built once and
its body serves all attempts, so a cache would only hold memory.
"""

from __future__ import annotations

import base64
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

FEW_COLOURS = 4096
"""In a 256-pixel thumbnail taken without smoothing: at most this many distinct colours make a drawing."""
JPEG_QUALITY = 90


def make_data_url(path: Path, max_pixels: int) -> str:
    """The picture as a ``data:`` URL.

    Args:
        path: any format that :func:`mindgpt_data.io.images.open_image` opens; EXIF rotation is applied, an animation
            gives its first frame, transparency becomes white.
        max_pixels: larger pictures are scaled down, in their proportions, to at most this many pixels.

    Raises:
        ImageError: a ``ValueError``: the file cannot be opened, with the reason.
        ValueError: ``max_pixels`` is not positive.
    """
    from mindgpt_data.io.images import open_image

    return encode_image(open_image(path), max_pixels)


def encode_image(image: Image.Image, max_pixels: int) -> str:
    """The same for a picture in memory (RGB, upright)."""
    image = shrink_image(image, max_pixels)
    buffer = io.BytesIO()
    kind = "png" if _is_drawing(image) else "jpeg"
    if kind == "png":
        image.save(buffer, "PNG", compress_level=6)
    else:
        image.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def shrink_image(image: Image.Image, max_pixels: int) -> Image.Image:
    """Scale down to at most ``max_pixels``, keeping proportions; smaller pictures stay as they are."""
    from PIL import Image

    if max_pixels < 1:
        raise ValueError(f"max_pixels is {max_pixels}; a picture needs at least 1")
    if image.width * image.height <= max_pixels:
        return image
    scale = math.sqrt(max_pixels / (image.width * image.height))
    width = max(1, min(math.floor(image.width * scale), max_pixels))
    height = max(1, min(math.floor(image.height * scale), max_pixels // width))
    return image.resize((width, height), Image.Resampling.LANCZOS)


def _is_drawing(image: Image.Image) -> bool:
    from PIL import Image

    thumbnail = image.convert("RGB")
    thumbnail.thumbnail((256, 256), Image.Resampling.NEAREST)  # NEAREST: smoothing would invent colours
    return thumbnail.getcolors(FEW_COLOURS) is not None
