"""Stage ``data``: runs ``python -m mindgpt_data``, the same steps as ``mindgpt data run``."""

from __future__ import annotations

from typing import ClassVar

from mindgpt_data.schema.config import DataSettings

from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.core.files import write_json
from mindgpt_plugins.core.schema import StageConfig
from mindgpt_plugins.stages.base import Command, Context, RehearsalRules, ReportRules, Stage
from mindgpt_plugins.stages.data.config import DataConfig


class DataStage(Stage[DataConfig]):
    """Pictures in a folder become quality-gated QA in a datasets folder."""

    Config: ClassVar[type[StageConfig]] = DataConfig
    side: ClassVar[str] = "data"
    uses: ClassVar[tuple[str, ...]] = ("estimator", "teacher", "allocator", "gate")
    paid: ClassVar[tuple[str, ...]] = ("work/store.sqlite*",)

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
        write_json(path, content)
        return [Command(("-m", "mindgpt_data", str(path)))]

    def artefacts(self, config: DataConfig, context: Context) -> dict[str, str]:
        """``datasets``: the folder the trainers load; ``report``: the page."""
        return {
            "datasets": str(context.folder / "work" / "datasets"),
            "report": str(context.folder / "work" / "report.html"),
        }

    def check(self, config: DataConfig, context: Context) -> list[str]:
        """Registered names and their options, a model for every step that needs one, and who writes the focus."""
        from mindgpt_data.steps.check import find_settings_problems

        found = find_settings_problems(config)
        if config.focus is not None:
            try:
                context.branches(config.focus.file)
            except StageError as error:
                found.append(f"focus: {error}")
        return found

    def rehearsal_rules(self) -> RehearsalRules[DataConfig]:
        """See :mod:`.rehearse`."""
        from mindgpt_plugins.stages.data.rehearse import DataRehearsal

        return DataRehearsal()

    def report_rules(self) -> ReportRules:
        """See :mod:`.report`."""
        from mindgpt_plugins.stages.data.report import DataReport

        return DataReport()
