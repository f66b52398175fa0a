"""Stage ``rejection_sampling``: a model's own right answers as a training set."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from mindgpt_plugins.pipeline.stage import Command, Context, Stage, as_json
from mindgpt_plugins.pipeline.stages.evaluate import model_settings, set_location
from mindgpt_plugins.recipe.base import StageConfig
from mindgpt_plugins.recipe.rejection_sampling import RejectionSamplingConfig


class RejectionSampling(Stage[RejectionSamplingConfig]):
    """Writes a datasets folder with one training set, and ``summary.json``."""

    Config: ClassVar[type[StageConfig]] = RejectionSamplingConfig
    side: ClassVar[str] = "sft"
    code: ClassVar[tuple[str, ...]] = (
        "mindgpt_plugins.self_training",
        "mindgpt_plugins.evaluate",
        "mindgpt_plugins.rewards",
        "mindgpt_data.export",
    )

    def render(self, config: RejectionSamplingConfig, context: Context) -> list[Command]:
        """Resolve references and write ``rejection_sampling.json``."""
        settings: dict[str, Any] = as_json(config)
        settings |= model_settings(config.model, config.seed, context)
        settings["prompts"] = [set_location(context, ref) for ref in config.prompts]
        settings["after"] = context.model(config.after) if config.after else None
        settings["replay"] = [{"data": set_location(context, r.data), "share": r.share} for r in config.replay]
        (context.folder / "rejection_sampling.json").write_text(json.dumps(settings, indent=1) + "\n")
        return [Command(("-m", "mindgpt_plugins.self_training", "rejection_sampling.json"))]

    def artefacts(self, config: RejectionSamplingConfig, context: Context) -> dict[str, str]:
        """The datasets folder and the summary."""
        return {"datasets": str(context.folder / "datasets"), "summary": str(context.folder / "summary.json")}
