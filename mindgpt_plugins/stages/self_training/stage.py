"""What the two stages share in which a model writes its own training set (``mindgpt_plugins.stages.self_training``)."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from mindgpt_plugins.core.schema import resolve_config, write_model
from mindgpt_plugins.stages.base import Command, Context, ReportRules, SetRead, Stage
from mindgpt_plugins.stages.evaluate.stage import build_model_settings, locate_set
from mindgpt_plugins.stages.self_training.config import SelfTrainingConfig
from mindgpt_plugins.stages.self_training.job import SelfTrainingJob

ConfigT = TypeVar("ConfigT", bound=SelfTrainingConfig)


class SelfTraining(Stage[ConfigT]):
    """Writes a datasets folder with one set, and ``summary.json``."""

    side: ClassVar[str] = "sft"
    Job: ClassVar[type[SelfTrainingJob]]
    hosts: ClassVar[tuple[str, ...]] = ("transformers", "torch")
    process: ClassVar[str]
    """Package of the kind, which is run with ``python -m``."""

    def render(self, config: ConfigT, context: Context) -> list[Command]:
        """Resolve references and write ``<kind>.json``."""
        job = resolve_config(
            config,
            self.Job,
            **build_model_settings(config.model, config.seed, context),
            prompts=[locate_set(context, ref) for ref in config.prompts],
            **self.resolved(config, context),
        )
        write_model(context.folder / f"{config.kind}.json", job)
        return [Command(("-m", self.process, f"{config.kind}.json"))]

    def resolved(self, config: ConfigT, context: Context) -> dict[str, Any]:
        """The kind's own references as paths."""
        return {}

    def artefacts(self, config: ConfigT, context: Context) -> dict[str, str]:
        """The datasets folder and the summary."""
        return {"datasets": str(context.folder / "datasets"), "summary": str(context.folder / "summary.json")}

    def set_reads(self, config: ConfigT) -> list[SetRead]:
        """The sets whose prompts are answered."""
        return [SetRead(one, "rows") for one in config.prompts]

    def report_rules(self) -> ReportRules:
        """See :mod:`.report`."""
        from mindgpt_plugins.stages.self_training.report import SelfTrainingReport

        return SelfTrainingReport()
