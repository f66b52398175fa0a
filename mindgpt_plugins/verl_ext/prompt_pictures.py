"""The pictures of a prompt as verl's rows hold them, read and fitted as every other stage does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindgpt_plugins.families import FamilyError, ModelFamily, PixelLimits

if TYPE_CHECKING:
    from PIL.Image import Image

LIMITS = "mindgpt_image"
"""Key of verl's ``data`` section with the recipe's ``image:``, ``min_pixels`` and ``max_pixels``."""


def find_data_limits(data: Any) -> PixelLimits | None:
    """The recipe's limits in verl's ``data`` section; None where there are none."""
    found = data.get(LIMITS, None)
    return PixelLimits(int(found["min_pixels"]), int(found["max_pixels"])) if found else None


def list_prompt_pictures(
    messages: Sequence[Mapping[str, Any]], family: ModelFamily, limits: PixelLimits | None
) -> list[Image] | None:
    """Pictures of a prompt in their order; None where it has videos or sound, which are verl's to read.

    Args:
        messages: with verl's parts: ``{"type": "image", "image": …}``.
        family: of the model.
        limits: to bring them within; None leaves their size to the processor.

    Raises:
        FamilyError: a picture is neither in memory nor a file.
    """
    parts = [part for turn in messages if not isinstance(turn["content"], str) for part in turn["content"]]
    if any(part.get("type") in ("video", "audio") for part in parts):
        return None
    opened = [_open(part) for part in parts if part.get("type") in ("image", "image_url")]
    if limits is None:
        return [image.convert("RGB") for image in opened]
    return [family.fit_picture(image, limits) for image in opened]


def _open(part: Mapping[str, Any]) -> Image:
    from PIL import Image

    given = part.get("image") or part.get("image_url")
    if isinstance(given, Image.Image):
        return given
    if part.get("bytes"):
        return Image.open(BytesIO(part["bytes"]))
    path = Path(str(given).removeprefix("file://"))
    if not path.is_file():
        raise FamilyError(
            f"a prompt's picture {str(given)[:80]!r} is no file; give rows the picture's bytes or its path"
        )
    return Image.open(path)
