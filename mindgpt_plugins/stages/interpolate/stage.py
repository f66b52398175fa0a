"""Stage ``interpolate``: a model between two others with ``python -m mindgpt_plugins.stages.interpolate``."""

from __future__ import annotations

from typing import ClassVar

from mindgpt_plugins.core.schema import StageConfig, resolve_config, write_model
from mindgpt_plugins.stages.base import Command, Context, CostRules, RehearsalRules, ReportRules, Stage
from mindgpt_plugins.stages.evaluate.stage import build_model_settings, locate_set
from mindgpt_plugins.stages.interpolate.config import InterpolateConfig
from mindgpt_plugins.stages.interpolate.job import InterpolateJob


class Interpolate(Stage[InterpolateConfig]):
    """Leaves ``model``, and ``chosen.json`` with the candidates' figures where alpha is chosen."""

    Config: ClassVar[type[StageConfig]] = InterpolateConfig
    side: ClassVar[str] = "sft"
    hosts: ClassVar[tuple[str, ...]] = ("transformers", "torch")

    def render(self, config: InterpolateConfig, context: Context) -> list[Command]:
        """Resolve references and write ``interpolate.json``."""
        choose = None
        if config.choose is not None:
            told = {**config.choose.model_dump(), **build_model_settings(config.end, config.seed, context)}
            choose = {**told, "sets": [locate_set(context, ref) for ref in config.choose.sets]}
        ends = {"start": context.model(config.start), "end": context.model(config.end)}
        write_model(context.folder / "interpolate.json", resolve_config(config, InterpolateJob, **ends, choose=choose))
        return [Command(("-m", "mindgpt_plugins.stages.interpolate", "interpolate.json"))]

    def artefacts(self, config: InterpolateConfig, context: Context) -> dict[str, str]:
        """``model``: a Hugging Face folder with processor and tokenizer."""
        return {"model": str(context.folder / "model")}

    def check(self, config: InterpolateConfig, context: Context) -> list[str]:
        """Two different models."""
        if config.start == config.end:
            return [f"start and end are both {config.start!r}; there is nothing between them"]
        return []

    def rehearsal_rules(self) -> RehearsalRules[InterpolateConfig]:
        """See :mod:`.rehearse`."""
        from mindgpt_plugins.stages.interpolate.rehearse import InterpolateRehearsal

        return InterpolateRehearsal()

    def cost_rules(self) -> CostRules[InterpolateConfig]:
        """See :mod:`.cost`."""
        from mindgpt_plugins.stages.interpolate.cost import InterpolateCost

        return InterpolateCost()

    def report_rules(self) -> ReportRules:
        """See :mod:`.report`."""
        from mindgpt_plugins.stages.interpolate.report import InterpolateReport

        return InterpolateReport()
