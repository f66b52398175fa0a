"""Stage ``data``: runs ``python -m mindgpt_data``, the same steps as ``mindgpt data run``."""

from __future__ import annotations

import json
from typing import ClassVar

from mindgpt_data.config import DataSettings

from mindgpt_plugins.pipeline.stage import Command, Context, Stage, StageError
from mindgpt_plugins.recipe.base import StageConfig
from mindgpt_plugins.recipe.data import DataConfig


class DataStage(Stage[DataConfig]):
    """Pictures in a folder become quality-gated QA in a datasets folder."""

    Config: ClassVar[type[StageConfig]] = DataConfig
    side: ClassVar[str] = "data"
    code: ClassVar[tuple[str, ...]] = ("mindgpt_data", "mindgpt_plugins.rewards")

    def render(self, config: DataConfig, context: Context) -> list[Command]:
        """Write ``config.json`` for ``python -m mindgpt_data``, its paths made absolute."""
        settings = config.model_dump(mode="json", include=set(DataSettings.model_fields))
        settings["images"]["path"] = str((context.recipe_folder / config.images.path).resolve())
        settings["filter"]["against"] = [
            "/".join(map(str, context.dataset(reference))) for reference in config.filter.against
        ]
        for dimension in ("knowledge", "capability"):
            tree = getattr(config.tree, dimension)
            if tree != "builtin":
                settings["tree"][dimension] = str((context.recipe_folder / tree).resolve())
        if config.focus is not None:
            settings["focus"]["file"] = context.branches(config.focus.file)
        content = {
            "runs": [{"settings": settings, "work": str(context.folder / "work")}],
            "datasets": None,
            "seed": context.seed,
            "engine": config.engine,
            "plugins": list(context.plugins),
        }
        path = context.folder / "config.json"
        path.write_text(json.dumps(content, indent=1) + "\n")
        return [Command(("-m", "mindgpt_data", str(path)))]

    def artefacts(self, config: DataConfig, context: Context) -> dict[str, str]:
        """``datasets``: the folder the trainers load; ``report``: the page."""
        return {
            "datasets": str(context.folder / "work" / "datasets"),
            "report": str(context.folder / "work" / "report.html"),
        }

    def check(self, config: DataConfig, context: Context) -> list[str]:
        """Registered names and their options, a model for every step that needs one, and who writes the focus."""
        from mindgpt_data.check import problems

        found = problems(config)
        if config.focus is not None:
            try:
                context.branches(config.focus.file)
            except StageError as error:
                found.append(f"focus: {error}")
        return found
