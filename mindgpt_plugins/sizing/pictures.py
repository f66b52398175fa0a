"""How many tokens a picture becomes, by the model's own processor settings and the recipe's limits."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.files import read_json


def read_picture_limits(folder: Path, max_pixels: int, min_pixels: int | None = None) -> tuple[int, int, int]:
    """Side of a visual token, least and most pixels of a picture, as the model's processor and the recipe have them.

    Qwen3-VL's processor names its limits ``size``, Qwen2.5-VL's ``min_pixels`` and ``max_pixels``.
    """
    config: dict[str, Any] = {}
    for name in ("processor_config.json", "preprocessor_config.json"):
        if (folder / name).is_file():
            loaded = read_json(folder / name)
            config = {**loaded.get("image_processor", loaded), **config}
    side = int(config.get("patch_size", 16)) * int(config.get("merge_size", 2))
    size = config.get("size") or {}
    least = size.get("shortest_edge") or config.get("min_pixels") or min_pixels or side * side
    most = size.get("longest_edge") or config.get("max_pixels") or max_pixels
    return side, int(least), min(max_pixels, int(most))


def count_vision_tokens(width: int, height: int, *, side: int, min_pixels: int, max_pixels: int) -> int:
    """Visual tokens of one image (pixels) when a token covers ``side`` × ``side`` pixels.

    The rule is Qwen2-VL's smart resize (2409.12191), which Qwen3-VL keeps.
    """
    h, w = round(height / side) * side, round(width / side) * side
    if h * w > max_pixels:
        scale = math.sqrt(height * width / max_pixels)
        h, w = (max(side, math.floor(x / scale / side) * side) for x in (height, width))
    elif h * w < min_pixels:
        scale = math.sqrt(min_pixels / (height * width))
        h, w = (math.ceil(x * scale / side) * side for x in (height, width))
    return (h // side) * (w // side)
