"""Pictures of a datasets folder: one file per content, as the trainers can read it."""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mindgpt_plugins.core.files import write_bytes
from mindgpt_plugins.core.upright import has_transparency, read_orientation

if TYPE_CHECKING:
    from PIL.Image import Image

_KEPT = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp"}
"""Formats whose bytes are copied: LLaMA-Factory and verl open them with Pillow, so does everyone else."""
STORED_PICTURE = re.compile(rb"\b[0-9a-f]{16}\.(?:png|jpg|webp)\b")
"""Names of stored pictures."""
_MODES = ("RGB", "L")


def save_image(image: Image, folder: Path) -> str:
    """Save as ``images/<hash of the pixels>.png`` under ``folder`` unless it is there; return the relative name."""
    name = f"images/{hash_stored_picture(image)}.png"
    path = folder / name
    if not path.is_file():
        buffer = io.BytesIO()
        image.save(buffer, format="PNG")
        write_bytes(path, buffer.getvalue(), sync=False)
    return name


def copy_picture(path: Path, folder: Path, max_megapixels: float = 100) -> str:
    """Bring a picture into ``folder`` and return its relative name; equal pixels are one file.

    The bytes are copied when every trainer shows them alike: PNG, JPEG or WebP, upright, one frame, RGB or grey.
    Anything else (EXIF rotation, which trainers without our plugins ignore; CMYK, transparency, animations, other
    formats) becomes an upright RGB PNG.

    Raises:
        ImageError: the file cannot be read.
    """
    from PIL import Image as Pillow

    from mindgpt_data.io.images import open_image

    upright = open_image(path, max_megapixels)
    stem = hash_stored_picture(upright)
    for suffix in ("png", *sorted(set(_KEPT.values()) - {"png"})):
        if (folder / f"images/{stem}.{suffix}").is_file():
            return f"images/{stem}.{suffix}"
    with Pillow.open(path) as raw:
        raw.load()  # the tag of a PNG may stand behind its pixels
        plain = raw.mode in _MODES and getattr(raw, "n_frames", 1) == 1 and not has_transparency(raw)
        kept = _KEPT.get(raw.format or "") if plain and read_orientation(raw) == 1 else None
    if kept is None:
        return save_image(upright, folder)
    name = f"images/{stem}.{kept}"
    write_bytes(folder / name, path.read_bytes(), sync=False)
    return name


def hash_stored_picture(image: Image) -> str:
    """First 16 hex digits of SHA-256 over mode, size and pixels: equal pictures, equal names."""
    digest = hashlib.sha256(f"{image.mode} {image.size}".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()[:16]
