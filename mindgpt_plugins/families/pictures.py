"""The one picture that a model is shown by every stage.

SFT decides what a model learns to see. There a file becomes an upright RGB picture
(:mod:`mindgpt_plugins.core.upright`), LLaMA-Factory 0.9.5 brings it within the recipe's ``image`` limits
(``MMPluginMixin._preprocess_image`` and ``Qwen2VLPlugin._preprocess_image`` of its ``data/mm_plugin.py``), then the
model's processor rounds and tiles what it gets by its own settings. The limits handed to the processor as its ``size``
would be another picture: 400 × 300 pixels at 9,216 are 9 tokens of Qwen3-VL after the two steps and 6 after one, and
4000 × 3000 at 589,824 are 588 and 540. Here are the first two steps; the last is the processor itself, called without
``size``. Only so do rollouts and tests show a model the pictures that it was trained on, whichever its family.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mindgpt_plugins.core.upright import make_upright_rgb
from mindgpt_plugins.families.errors import FamilyError

if TYPE_CHECKING:
    from PIL.Image import Image

_NARROWEST = 28
"""Pixels of the shorter side that LLaMA-Factory widens pictures to, for processors that cut by patches."""
_MOST_RATIO, _CUT_RATIO = 200, 180
"""A longer picture is squeezed to the second ratio, for the same processors."""


@dataclass(frozen=True)
class PixelLimits:
    """The recipe's ``image:`` section.

    Attributes:
        min_pixels: area (width × height) that smaller pictures are enlarged to.
        max_pixels: area that larger pictures are shrunk to.
    """

    min_pixels: int
    max_pixels: int


def compute_fitted_size(width: int, height: int, limits: PixelLimits, *, by_area: bool) -> tuple[int, int]:
    """Width and height of the picture that the processor gets.

    Args:
        width: of the upright picture, in pixels.
        height: of the upright picture, in pixels.
        limits: of the recipe.
        by_area: whether the processor takes its limits as areas (Qwen-VL, GLM-V); LLaMA-Factory's plugin for such
            processors also widens narrow pictures.

    Raises:
        FamilyError: shrunk to the limit, the picture has no width or height left; LLaMA-Factory fails there as well.
    """
    for size in _list_limited_sizes(width, height, limits):
        width, height = size
    for size in _list_widened_sizes(width, height) if by_area else ():
        width, height = size
    return width, height


def fit_picture(image: Image, limits: PixelLimits, *, by_area: bool) -> Image:
    """The upright RGB picture that the processor gets; arguments and errors as :func:`compute_fitted_size`.

    Args:
        image: in any mode, as Pillow opened it.
        limits: of the recipe.
        by_area: as :func:`compute_fitted_size` has it.
    """
    image = make_upright_rgb(image)
    for size in _list_limited_sizes(image.width, image.height, limits):
        image = image.resize(size)
    for size in _list_widened_sizes(image.width, image.height) if by_area else ():
        image = image.resize(size)
    return image


def _list_limited_sizes(width: int, height: int, limits: PixelLimits) -> list[tuple[int, int]]:
    """Sizes that a picture is resized to, one after the other, to come within the limits; mostly none or one."""
    sizes = []
    # Truncated, not rounded, as the host does: the processor's next rounding may depend on it.
    if width * height > limits.max_pixels:
        factor = math.sqrt(limits.max_pixels / (width * height))
        shrunk = int(width * factor), int(height * factor)
        if min(shrunk) < 1:
            raise FamilyError(
                f"a picture of {width} x {height} pixels, shrunk to image.max_pixels {limits.max_pixels}, has no "
                "pixels left across; crop it, or raise image.max_pixels"
            )
        width, height = shrunk
        sizes.append(shrunk)
    if width * height < limits.min_pixels:
        factor = math.sqrt(limits.min_pixels / (width * height))
        sizes.append((int(width * factor), int(height * factor)))
    return sizes


def _list_widened_sizes(width: int, height: int) -> list[tuple[int, int]]:
    """Sizes that a picture is resized to after that, so that a processor that cuts by patches takes it."""
    sizes = []
    if min(width, height) < _NARROWEST:
        width, height = max(width, _NARROWEST), max(height, _NARROWEST)
        sizes.append((width, height))
    if width / height > _MOST_RATIO:
        width = height * _CUT_RATIO
        sizes.append((width, height))
    if height / width > _MOST_RATIO:
        height = width * _CUT_RATIO
        sizes.append((width, height))
    return sizes


def count_area_tokens(width: int, height: int, *, side: int, min_pixels: int, max_pixels: int) -> int:
    """Visual tokens of one picture (pixels) when a token covers ``side`` × ``side`` pixels.

    The rule is Qwen2-VL's smart resize (2409.12191), which Qwen2.5-VL, Qwen3-VL and Qwen3.5 keep.
    """
    h, w = round(height / side) * side, round(width / side) * side
    if h * w > max_pixels:
        scale = math.sqrt(height * width / max_pixels)
        h, w = (max(side, math.floor(x / scale / side) * side) for x in (height, width))
    elif h * w < min_pixels:
        scale = math.sqrt(min_pixels / (height * width))
        h, w = (math.ceil(x * scale / side) * side for x in (height, width))
    return (h // side) * (w // side)
