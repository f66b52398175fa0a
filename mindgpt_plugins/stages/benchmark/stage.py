"""Stage ``benchmark``: public benchmarks through EvalScope with ``python -m mindgpt_plugins.stages.benchmark``."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from mindgpt_plugins.core import interpreter
from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.core.schema import StageConfig, resolve_config, write_model
from mindgpt_plugins.stages.base import Command, Context, RehearsalRules, ReportRules, Stage
from mindgpt_plugins.stages.benchmark.config import BenchmarkConfig
from mindgpt_plugins.stages.benchmark.job import BenchmarkJob
from mindgpt_plugins.stages.evaluate.stage import build_model_settings


class BenchmarkStage(Stage[BenchmarkConfig]):
    """Writes ``scores.json`` and ``predictions.jsonl``, as an ``evaluate`` stage does."""

    Config: ClassVar[type[StageConfig]] = BenchmarkConfig
    side: ClassVar[str] = "benchmark"
    paid: ClassVar[tuple[str, ...]] = ("replies.jsonl",)
    hosts: ClassVar[tuple[str, ...]] = ("evalscope",)

    def render(self, config: BenchmarkConfig, context: Context) -> list[Command]:
        """Resolve references and write ``benchmark.json``."""
        gate = None
        if config.gate is not None:
            gate = {**config.gate.model_dump(), "before": context.artefact(config.gate.before, "predictions")}
        job = resolve_config(
            config,
            BenchmarkJob,
            **build_model_settings(config.model or str(config.server), config.seed, context),
            data={name: _local(context, path) for name, path in config.data.items()},
            engine_python=interpreter.resolve_interpreter(config.engine_python, context.recipe_folder, "engine_python"),
            gate=gate,
        )
        write_model(context.folder / "benchmark.json", job)
        return [Command(("-m", "mindgpt_plugins.stages.benchmark", "benchmark.json"))]

    def artefacts(self, config: BenchmarkConfig, context: Context) -> dict[str, str]:
        """Scores and predictions."""
        return {
            "scores": str(context.folder / "scores.json"),
            "predictions": str(context.folder / "predictions.jsonl"),
        }

    def check(self, config: BenchmarkConfig, context: Context) -> list[str]:
        """The engine's interpreter must exist, and so must a model to start a server for."""
        try:
            interpreter.resolve_interpreter(config.engine_python, context.recipe_folder, "engine_python")
        except StageError as error:
            return [str(error)]
        return []

    def rehearsal_rules(self) -> RehearsalRules[BenchmarkConfig]:
        """See :mod:`.rehearse`."""
        from mindgpt_plugins.stages.benchmark.rehearse import BenchmarkRehearsal

        return BenchmarkRehearsal()

    def report_rules(self) -> ReportRules:
        """See :mod:`.report`."""
        from mindgpt_plugins.stages.benchmark.report import BenchmarkReport

        return BenchmarkReport()


def _local(context: Context, path: str) -> Path:
    return (context.recipe_folder / Path(path).expanduser()).resolve()
