"""Stage ``preference_pairs``: preference pairs from a model's own replies."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from mindgpt_plugins.pipeline.stage import Command, Context, Stage, as_json
from mindgpt_plugins.pipeline.stages.evaluate import model_settings, set_location
from mindgpt_plugins.recipe.base import StageConfig
from mindgpt_plugins.recipe.preference_pairs import PreferencePairsConfig


class PreferencePairs(Stage[PreferencePairsConfig]):
    """Writes a datasets folder with one preference set, and ``summary.json``."""

    Config: ClassVar[type[StageConfig]] = PreferencePairsConfig
    side: ClassVar[str] = "sft"
    code: ClassVar[tuple[str, ...]] = (
        "mindgpt_plugins.self_training",
        "mindgpt_plugins.evaluate",
        "mindgpt_plugins.rewards",
        "mindgpt_data.export",
    )

    def render(self, config: PreferencePairsConfig, context: Context) -> list[Command]:
        """Resolve references and write ``preference_pairs.json``."""
        settings: dict[str, Any] = as_json(config)
        settings |= model_settings(config.model, config.seed, context)
        settings["prompts"] = [set_location(context, ref) for ref in config.prompts]

        (context.folder / "preference_pairs.json").write_text(json.dumps(settings, indent=1) + "\n")
        return [Command(("-m", "mindgpt_plugins.self_training", "preference_pairs.json"))]

    def artefacts(self, config: PreferencePairsConfig, context: Context) -> dict[str, str]:
        """The datasets folder and the summary."""
        return {"datasets": str(context.folder / "datasets"), "summary": str(context.folder / "summary.json")}
