"""Opens pictures nobody has checked: a bad file raises :class:`ImageError` with a reason and costs nothing else."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from mindgpt_plugins.core.upright import make_upright_rgb

# Pillow warns at 89 megapixels; the limit here is the caller's, and beyond it the file is refused unread.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class ImageError(ValueError):
    """A picture that cannot be used.

    Attributes:
        reason: short, and the same for the same cause: reports count by it.
        path: the file.
        detail: what exactly is wrong with this one.
    """

    def __init__(self, reason: str, path: Path, detail: str = "") -> None:
        super().__init__(f"{path}: {reason}{f' ({detail})' if detail else ''}")
        self.reason, self.path, self.detail = reason, path, detail

    def __reduce__(self) -> tuple[type[ImageError], tuple[str, Path, str]]:
        return ImageError, (self.reason, self.path, self.detail)


def open_image(path: Path, max_megapixels: float = 100) -> Image.Image:
    """Decode a picture fully: RGB, upright (EXIF rotation applied), first frame of an animation.

    Transparent parts become white; 16-bit and floating-point pictures are scaled to 8 bits.

    Args:
        path: the file.
        max_megapixels: larger pictures are refused before they are decoded (Pillow refuses 179 and more in any case).

    Raises:
        ImageError: ``missing``, ``no permission``, ``empty file``, ``not an image``, ``too many pixels`` or
            ``truncated or corrupt``.
    """
    try:
        if path.stat().st_size == 0:
            raise ImageError("empty file", path)
        with Image.open(path) as image:
            megapixels = image.width * image.height / 1e6
            if megapixels > max_megapixels:
                size = f"{image.width} x {image.height}; the limit is {max_megapixels:g} megapixels"
                raise ImageError("too many pixels", path, size)
            return make_upright_rgb(image)
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError("missing", path) from None
    except PermissionError as error:
        raise ImageError("no permission", path, str(error.strerror)) from None
    except UnidentifiedImageError:
        raise ImageError("not an image", path) from None
    except Image.DecompressionBombError as error:
        raise ImageError("too many pixels", path, str(error)) from None
    except Exception as error:  # decoders of hostile files raise almost anything: struct.error, KeyError, SyntaxError …
        raise ImageError("truncated or corrupt", path, f"{type(error).__name__}: {error}") from error


def hash_rgb_pixels(image: Image.Image) -> str:
    """Hash of the size and the RGB pixels: equal pictures have equal hashes, whatever their files are.

    Args:
        image: as :func:`open_image` returns it.
    """
    digest = hashlib.sha256(f"{image.width}x{image.height}:".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()[:32]
