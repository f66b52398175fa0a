"""What the process of a ``model`` stage is told: its settings with every reference resolved."""

from __future__ import annotations

from pathlib import Path

from mindgpt_plugins.core.schema import Strict
from mindgpt_plugins.generation.config import SetLocation
from mindgpt_plugins.stages.model.config import ModelConfig


class ModelJob(Strict):
    """Content of ``config.json``.

    Attributes:
        model: sizes, as in the recipe.
        sets: their texts train the tokenizer.
        folder: to write the model to.
        seed: of the fresh weights.
        min_pixels: of a picture, for the processor.
        max_pixels: of a picture, for the processor.
    """

    model: ModelConfig
    sets: list[SetLocation]
    folder: Path
    seed: int
    min_pixels: int
    max_pixels: int
