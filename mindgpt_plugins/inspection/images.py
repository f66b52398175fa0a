"""Pictures as trainers open them: which cannot be read, and which they would see otherwise than a person does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mindgpt_plugins.core.image_size import MOST_RATIO
from mindgpt_plugins.core.upright import has_transparency
from mindgpt_plugins.inspection.faults import Fault
from mindgpt_plugins.sizing.samples import Picture, open_picture


def find_image_faults(picture: Picture, place: str, *, full: bool) -> Iterator[Fault]:
    """Faults of one picture.

    Args:
        picture: a file, or the bytes that a row holds.
        place: its row, for the message.
        full: whether to decode it, or to read its header and checksums only.
    """
    from PIL import Image, UnidentifiedImageError

    name = str(picture) if isinstance(picture, Path) else "embedded picture"
    try:
        with open_picture(picture) as image:
            width, height = image.size
            # Not n_frames: a GIF or TIFF of a million frames would be walked to its end to count them.
            mode, animated = image.mode, getattr(image, "is_animated", False)
            transparent = has_transparency(image)
            if full:
                image.load()
                transparent = transparent and image.convert("RGBA").getchannel("A").getextrema() != (255, 255)
            elif image.format == "PNG":  # Pillow checks the checksums of no other format
                image.verify()  # last, because it closes the file
    except FileNotFoundError:
        yield Fault("no_image", place, name)
        return
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        yield Fault("bad_image", place, f"{name}: {_tell(error, name)}")
        return
    if max(width, height) > MOST_RATIO * min(width, height):
        yield Fault("cropped", place, f"{name} ({width} x {height})")
    if mode.startswith("I") or mode == "F":
        yield Fault("deep_grey", place, f"{name} (mode {mode})")
    if mode == "CMYK":
        yield Fault("cmyk", place, name)
    if transparent:
        yield Fault("transparent", place, name)
    if animated:
        yield Fault("animated", place, name)


def _tell(error: Exception, name: str) -> str:
    """The error without what stands before it already."""
    return str(error).replace(f"'{name}'", "the file")
