"""Pictures scaled down and embedded once each, within a budget of bytes."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

LARGEST = 32_000_000
"""Bytes of all embedded pictures of a page at most; those beyond are named instead."""
SIDES = ((1500, 256), (6000, 160))
"""(at most so many pictures, longest side in pixels); above, ``SMALLEST``."""
SMALLEST = 112
BATCH = 256
"""Pictures between two looks at the budget."""
UNTOUCHED = 6_000
"""Bytes; a smaller PNG that fits is embedded as it is."""


@dataclass(frozen=True)
class Thumbnails:
    """What the page embeds."""

    place: dict[str, int]
    """Path → index in ``data``."""
    data: list[str]
    """``data:`` addresses."""
    side: int
    """Longest side in pixels."""
    missing: int
    """Files that are gone or no pictures."""
    beyond: int
    """Pictures left out because of the budget."""
    outside: int
    """Pictures left out because they lie in no folder that may be shown."""


def is_shown(path: str, folders: Sequence[Path]) -> bool:
    """May a page embed this file? A row can name any file, and pages are shared; links in a folder are followed."""
    plain = Path(os.path.normpath(path))
    return any(plain.is_relative_to(folder) for folder in folders)


def embed_thumbnails(paths: Iterable[str], folders: Sequence[Path], largest: int | None = None) -> Thumbnails:
    """Read, scale and encode every distinct path that lies in one of the folders, up to so many bytes (``LARGEST``)."""
    largest = LARGEST if largest is None else largest
    named = list(dict.fromkeys(paths))
    distinct = [path for path in named if is_shown(path, folders)]
    outside = sum(os.path.isfile(path) and not is_shown(path, folders) for path in named)
    side = next((side for most, side in SIDES if len(distinct) <= most), SMALLEST)
    place: dict[str, int] = {}
    data: list[str] = []
    size = beyond = 0
    missing = len(named) - len(distinct) - outside  # names that no folder has
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for some in _batches(distinct, BATCH):
            if size > largest:
                beyond += len(some)
                continue
            for path, made in zip(some, pool.map(lambda p: encode_thumbnail(Path(p), side), some), strict=True):
                if made is None:
                    missing += 1
                    continue
                place[path] = len(data)
                data.append(made)
                size += len(made)
    return Thumbnails(place, data, side, missing, beyond, outside)


def _batches(items: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def encode_thumbnail(path: Path, side: int) -> str | None:
    """A picture file as a data address, its longest side at most ``side`` pixels; None when it cannot be read."""
    from PIL import Image, ImageOps

    try:
        raw = path.read_bytes()
        with Image.open(io.BytesIO(raw)) as image:
            if image.format == "PNG" and max(image.size) <= side and len(raw) <= UNTOUCHED:
                return _address("png", raw)
            image.draft("RGB", (side, side))  # JPEG decodes straight to about this size
            shown = (ImageOps.exif_transpose(image) or image).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    shown.thumbnail((side, side))
    buffer = io.BytesIO()
    shown.save(buffer, format="WEBP", quality=75)
    return _address("webp", buffer.getvalue())


def _address(kind: str, raw: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(raw).decode()}"
