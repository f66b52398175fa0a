"""Stage ``world``: runs ``python -m mindgpt_data.world`` on the recipe's sets."""

from __future__ import annotations

import json
from typing import ClassVar

from mindgpt_data.world.config import WorldSettings

from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.core.schema import StageConfig
from mindgpt_plugins.stages.base import Command, Context, CostRules, RehearsalRules, ReportRules, Stage
from mindgpt_plugins.stages.world.config import WorldConfig


class WorldStage(Stage[WorldConfig]):
    """Pictures become quality-gated QA in one datasets folder."""

    Config: ClassVar[type[StageConfig]] = WorldConfig
    side: ClassVar[str] = "data"
    uses: ClassVar[tuple[str, ...]] = ("estimator", "teacher", "allocator", "gate")

    def render(self, config: WorldConfig, context: Context) -> list[Command]:
        """Write ``config.json`` for ``python -m mindgpt_data.world``."""
        settings = config.model_dump(mode="json", include=set(WorldSettings.model_fields))
        for one in settings["sets"].values():
            for scenes in one["sources"].values():
                if scenes["focus"]:
                    scenes["focus"]["file"] = context.branches(scenes["focus"]["file"])
        path = context.folder / "config.json"
        path.write_text(
            json.dumps(
                {
                    "settings": settings,
                    "seed": context.seed,
                    "folder": str(context.folder / "datasets"),
                    "plugins": list(context.plugins),
                },
                indent=1,
            )
            + "\n"
        )
        return [Command(("-m", "mindgpt_data.world", str(path)))]

    def artefacts(self, config: WorldConfig, context: Context) -> dict[str, str]:
        """``datasets``: the folder; ``data_report``: the funnel and the histograms."""
        return {
            "datasets": str(context.folder / "datasets"),
            # Written last: when it is there, every set is.
            "data_report": str(context.folder / "data_report.json"),
        }

    def check(self, config: WorldConfig, context: Context) -> list[str]:
        """Picture size against the recipe's pixel range, budgets, and every registered name."""
        from mindgpt_data.budget.rounding import BudgetError
        from mindgpt_data.budget.rounding import check as check_budget

        from mindgpt_plugins.core import registry
        from mindgpt_plugins.core.choice import choices

        problems = []
        pixels = config.world.size**2
        if not context.min_pixels <= pixels <= context.max_pixels:
            problems.append(
                f"world.size {config.world.size} makes pictures of {pixels} pixels, outside the recipe's "
                f"{context.min_pixels} to {context.max_pixels}: they would be rescaled; change one of them"
            )
        for kind, name in ((choice.of, choice.name) for _, choice in choices(config)):
            if name not in registry.names(kind):
                known = registry.names(kind)
                problems.append(f"there is no {kind} {name!r}{registry.nearest(name, known)} Known: {', '.join(known)}")
        for name, one in config.sets.items():
            for source, scenes in one.sources.items():
                if scenes.items is not None:
                    try:
                        check_budget(scenes.images, scenes.items, config.budget.n_min, config.budget.n_max)
                    except BudgetError as error:
                        problems.append(f"sets.{name}.sources.{source}: {error}")
                if scenes.focus is not None:
                    try:
                        context.branches(scenes.focus.file)
                    except StageError as error:
                        problems.append(f"sets.{name}.sources.{source}.focus: {error}")
        return problems

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
