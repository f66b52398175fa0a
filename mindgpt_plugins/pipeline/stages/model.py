"""Stage ``model``: makes a tiny Qwen3-VL with ``python -m mindgpt_plugins.models.tiny_qwen3_vl``."""

from __future__ import annotations

import json
from typing import ClassVar

from mindgpt_plugins.pipeline.stage import Command, Context, Stage, as_json
from mindgpt_plugins.recipe.base import StageConfig
from mindgpt_plugins.recipe.model import ModelConfig


class ModelStage(Stage[ModelConfig]):
    """Fresh weights, a tokenizer trained on the named sets, and the real processor."""

    Config: ClassVar[type[StageConfig]] = ModelConfig
    side: ClassVar[str] = "sft"
    code: ClassVar[tuple[str, ...]] = (
        "mindgpt_plugins.models",
        "mindgpt_data.export",
        "mindgpt_data.files",
        "mindgpt_data.images",
        "mindgpt_data.rows",
        "mindgpt_plugins.answers",
    )

    def render(self, config: ModelConfig, context: Context) -> list[Command]:
        """Write ``config.json`` for the module."""
        sets = [context.dataset(reference) for reference in config.tokenizer_from]
        path = context.folder / "config.json"
        path.write_text(
            json.dumps(
                {
                    "model": as_json(config),
                    "sets": [{"folder": str(folder), "set": name} for folder, name in sets],
                    "folder": str(context.folder / "model"),
                    "seed": context.seed,
                    "min_pixels": context.min_pixels,
                    "max_pixels": context.max_pixels,
                },
                indent=1,
            )
            + "\n"
        )
        return [Command(("-m", "mindgpt_plugins.models.tiny_qwen3_vl", str(path)))]

    def artefacts(self, config: ModelConfig, context: Context) -> dict[str, str]:
        """``model``: a Hugging Face folder with weights, tokenizer and processor."""
        return {"model": str(context.folder / "model")}
