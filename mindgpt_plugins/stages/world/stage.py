"""Stage ``world``: renders a corpus per set, then does with them what a ``data`` stage does with your pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, get_args

from mindgpt_data.schema.config import DataSettings
from mindgpt_data.world.config import WorldSettings, build_data_settings

from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.core.files import write_json
from mindgpt_plugins.core.schema import StageConfig
from mindgpt_plugins.inspection.readers import Reader
from mindgpt_plugins.stages.base import Command, Context, CostRules, RehearsalRules, ReportRules, Stage
from mindgpt_plugins.stages.world.config import WorldConfig


class WorldStage(Stage[WorldConfig]):
    """Rendered pictures become quality-gated QA in one datasets folder."""

    Config: ClassVar[type[StageConfig]] = WorldConfig
    side: ClassVar[str] = "data"
    uses: ClassVar[tuple[str, ...]] = ("estimator", "teacher", "allocator", "gate")
    paid: ClassVar[tuple[str, ...]] = ("work/*/store.sqlite*",)

    def render(self, config: WorldConfig, context: Context) -> list[Command]:
        """Write ``world.json`` for ``mindgpt_data.world``, and ``config.json`` for the steps of ``mindgpt_data``."""
        runs = [
            {"settings": settings.model_dump(mode="json"), "work": str(context.folder / "work" / name)}
            for name, settings in self._settings(config, context).items()
        ]
        world = {
            "settings": config.model_dump(mode="json", include=set(WorldSettings.model_fields)),
            "seed": context.seed,
            "corpora": str(context.folder / "corpora"),
        }
        steps = {
            "runs": runs,
            "datasets": str(context.folder / "datasets"),
            "seed": context.seed,
            "engine": "local",
            "plugins": list(context.plugins),
        }
        return [
            Command(("-m", "mindgpt_data.world", _write(context.folder / "world.json", world))),
            Command(("-m", "mindgpt_data", _write(context.folder / "config.json", steps))),
        ]

    def artefacts(self, config: WorldConfig, context: Context) -> dict[str, str]:
        """``datasets``: the folder; ``data_report``: the funnel and the histograms."""
        return {
            "datasets": str(context.folder / "datasets"),
            # Written last: when it is there, every set is.
            "data_report": str(context.folder / "data_report.json"),
        }

    def check(self, config: WorldConfig, context: Context) -> list[str]:
        """Picture size against the recipe's pixel range, budgets, every registered name, and who writes the focus."""
        from mindgpt_data.budget.rounding import BudgetError
        from mindgpt_data.budget.rounding import check_corpus_budget as check_budget
        from mindgpt_data.steps.check import find_settings_problems as ordinary

        problems = []
        pixels = config.world.size**2
        if not context.min_pixels <= pixels <= context.max_pixels:
            problems.append(
                f"world.size {config.world.size} makes pictures of {pixels} pixels, outside the recipe's "
                f"{context.min_pixels} to {context.max_pixels}: they would be rescaled; change one of them"
            )
        for name, one in config.sets.items():
            for source, scenes in one.sources.items():
                if scenes.items is not None:
                    try:
                        check_budget(scenes.images, scenes.items, config.budget.n_min, config.budget.n_max)
                    except BudgetError as error:
                        problems.append(f"sets.{name}.sources.{source}: {error}")
            if one.focus is not None:
                try:
                    context.branches(one.focus.file)
                except StageError as error:
                    problems.append(f"sets.{name}.focus: {error}")
        if not problems:
            # What the sets are compared with is made by this stage: it cannot be there yet.
            told = [ordinary(_alone(one)) for one in self._settings(config, context).values()]
            problems = list(dict.fromkeys(problem for each in told for problem in each))
        return problems

    def made_sets(self, config: WorldConfig, context: Context) -> Mapping[str, frozenset[Reader]]:
        """Every set, in every format."""
        return dict.fromkeys(config.sets, frozenset(get_args(Reader)))

    def rehearsal_rules(self) -> RehearsalRules[WorldConfig]:
        """See :mod:`.rehearse`."""
        from mindgpt_plugins.stages.world.rehearse import WorldRehearsal

        return WorldRehearsal()

    def cost_rules(self) -> CostRules[WorldConfig]:
        """See :mod:`.cost`."""
        from mindgpt_plugins.stages.world.cost import WorldCost

        return WorldCost()

    def report_rules(self) -> ReportRules:
        """See :mod:`.report`."""
        from mindgpt_plugins.stages.world.report import WorldReport

        return WorldReport()

    def _settings(self, config: WorldConfig, context: Context) -> dict[str, DataSettings]:
        """Set → what the ordinary steps are told, in the order in which the sets are made."""
        corpora, datasets = context.folder / "corpora", context.folder / "datasets"
        return {name: build_data_settings(config, name, corpora, datasets, context.branches) for name in config.order}


def _alone(settings: DataSettings) -> DataSettings:
    return settings.model_copy(update={"filter": settings.filter.model_copy(update={"against": ()})})


def _write(path: Path, content: dict[str, object]) -> str:
    write_json(path, content)
    return str(path)
