"""The one way in which a picture file becomes what a model sees: upright, on white, eight bits, RGB.

Libraries differ where a file leaves it open. LLaMA-Factory 0.9.5 ignores EXIF rotation, paints transparent parts
black and clips 16-bit pictures to white; qwen-vl-utils 0.0.14 lays RGBA on white, LA and palettes on black; vLLM turns
by EXIF and lays all of them on white. A model that is trained on one and asked with another sees two pictures, so the
data tools, both trainers and every engine of ours open pictures here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

_ORIENTATION = 0x0112
_TRANSPARENT_MODES = ("RGBA", "LA", "PA", "RGBa", "La")
_TAGGED_FORMATS = ("JPEG", "WEBP", "TIFF", "MPO", "AVIF", "HEIF")


def make_upright_rgb(image: Image) -> Image:
    """The picture as a person sees it, in RGB: turned by its EXIF tag, transparent parts white, deep channels scaled.

    Args:
        image: in any mode, as Pillow opened it; not changed. Of an animation its current frame.

    Raises:
        OSError: the file is damaged; Pillow's decoders also raise ``ValueError`` and ``SyntaxError``.
    """
    from PIL import Image as Pillow
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(image)
    assert upright is not None  # only where it works in place
    if upright.mode.startswith(("I", "F")):
        return _scale_to_eight_bits(upright).convert("RGB")
    if has_transparency(upright):
        coloured = upright.convert("RGBA")
        white = Pillow.new("RGBA", coloured.size, (255, 255, 255, 255))
        return Pillow.alpha_composite(white, coloured).convert("RGB")
    return upright if upright.mode == "RGB" else upright.convert("RGB")


def has_transparency(image: Image) -> bool:
    """Whether a picture has an alpha channel or a transparent colour."""
    return image.mode in _TRANSPARENT_MODES or "transparency" in image.info


def read_orientation(image: Image) -> int:
    """EXIF orientation from a header, 1 to 8; 1 where there is none."""
    # Of a PNG without the chunk before its pixels, Pillow would decode all to look for it at the end.
    tagged = image.format in _TAGGED_FORMATS or "exif" in image.info
    return int(image.getexif().get(_ORIENTATION, 1) or 1) if tagged else 1


def read_upright_size(image: Image) -> tuple[int, int]:
    """Width and height, in pixels, of :func:`make_upright_rgb`'s result, from the header alone."""
    turned = read_orientation(image) in (5, 6, 7, 8)
    return (image.height, image.width) if turned else (image.width, image.height)


def _scale_to_eight_bits(image: Image) -> Image:
    """Grey of 16 bits or floating point; Pillow clips it at 255."""
    import numpy as np
    from PIL import Image as Pillow

    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    top = values.max(initial=0.0)
    full = 1.0 if image.mode == "F" and top <= 1 else 255.0 if top <= 255 and image.mode in ("I", "F") else 65535.0
    return Pillow.fromarray(np.clip(values / max(full, top) * 255, 0, 255).astype(np.uint8))
