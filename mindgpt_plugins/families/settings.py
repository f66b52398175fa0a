"""What a model folder's own files say of its family, read as JSON: no host is imported, no weight loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.files import read_json
from mindgpt_plugins.families.pictures import PixelLimits, compute_fitted_size, count_area_tokens

_SMART_RESIZE = "Qwen2VLImageProcessor"
"""The image processor class of Qwen2-VL up to Qwen3.5, whose rounding :func:`count_area_tokens` follows. GLM-V's
classes take the same settings and round otherwise."""


@dataclass(frozen=True)
class AreaRule:
    """An image processor that takes its limits as areas: ``size`` with both edges, and a ``merge_size``.

    Attributes:
        side: pixels of a visual token's side.
        least: pixels (area) that the processor enlarges smaller pictures to.
        most: pixels (area) that it shrinks larger pictures to.
        smart_resize: whether it rounds as Qwen2-VL's does, so that tokens can be computed without it.
    """

    side: int
    least: int
    most: int
    smart_resize: bool

    def count_tokens(self, width: int, height: int, limits: PixelLimits) -> int:
        """Visual tokens of a picture (pixels) in training: the recipe's limits first, then the processor's."""
        width, height = compute_fitted_size(width, height, limits, by_area=True)
        return count_area_tokens(width, height, side=self.side, min_pixels=self.least, max_pixels=self.most)


def read_area_rule(folder: Path) -> AreaRule | None:
    """The rule of a folder's image processor; None where its limits are no areas, or there is no image processor.

    Qwen3-VL's files name the limits ``size``, Qwen2.5-VL's older ones ``min_pixels`` and ``max_pixels``.
    """
    settings = read_image_settings(folder)
    size = settings.get("size") or {}
    least = settings.get("min_pixels") or size.get("shortest_edge")
    most = settings.get("max_pixels") or size.get("longest_edge")
    if not (least and most and settings.get("merge_size")):
        return None
    kind = str(settings.get("image_processor_type", ""))
    side = int(settings.get("patch_size", 14)) * int(settings["merge_size"])
    return AreaRule(side, int(least), int(most), kind.removesuffix("Fast") == _SMART_RESIZE)


def read_image_settings(folder: Path) -> dict[str, Any]:
    """Settings of a folder's image processor; empty where it has none. Of two files the newer kind wins."""
    settings: dict[str, Any] = {}
    for name in ("preprocessor_config.json", "processor_config.json"):
        if (folder / name).is_file():
            loaded = read_json(folder / name)
            settings |= loaded.get("image_processor", {}) if name.startswith("processor") else loaded
    return settings


def has_vision(folder: Path) -> bool:
    """Whether a model folder's model takes pictures: its configuration has a vision part."""
    path = folder / "config.json"
    return "vision_config" in read_json(path) if path.is_file() else bool(read_image_settings(folder))
