"""Stage ``quantise``: a smaller model and its quality gate, with ``python -m mindgpt_plugins.stages.quantise``."""

from __future__ import annotations

from typing import Any, ClassVar

from mindgpt_plugins.core.schema import StageConfig, resolve_config, write_model
from mindgpt_plugins.stages.base import Command, Context, CostRules, RehearsalRules, Stage
from mindgpt_plugins.stages.evaluate.stage import build_model_settings, locate_set
from mindgpt_plugins.stages.quantise.config import Calibration, QualityGate, QuantiseConfig
from mindgpt_plugins.stages.quantise.job import QuantiseJob
from mindgpt_plugins.stages.quantise.schemes import SCHEMES


class Quantise(Stage[QuantiseConfig]):
    """Writes ``model/``, only when it passed, and ``quality.json``."""

    Config: ClassVar[type[StageConfig]] = QuantiseConfig
    side: ClassVar[str] = "quantise"
    hosts: ClassVar[tuple[str, ...]] = ("llmcompressor", "torch")

    def render(self, config: QuantiseConfig, context: Context) -> list[Command]:
        """Resolve references and write ``quantise.json``."""

        def located(part: Calibration | QualityGate) -> dict[str, Any]:
            return {**part.model_dump(), "sets": [locate_set(context, ref) for ref in part.sets]}

        job = resolve_config(
            config,
            QuantiseJob,
            **build_model_settings(config.model, config.seed, context),
            calibration=located(config.calibration) if config.calibration else None,
            gate=located(config.gate),
        )
        write_model(context.folder / "quantise.json", job)
        return [Command(("-m", "mindgpt_plugins.stages.quantise", "quantise.json"))]

    def artefacts(self, config: QuantiseConfig, context: Context) -> dict[str, str]:
        """The quantised model and its figures."""
        return {"model": str(context.folder / "model"), "quality": str(context.folder / "quality.json")}

    def check(self, config: QuantiseConfig, context: Context) -> list[str]:
        """A scheme without kernels for the device."""
        if context.cpu and not SCHEMES[config.scheme].cpu:
            return [f"scheme: {config.scheme} has kernels for CUDA only; choose another one with device: cpu"]
        return []

    def rehearsal_rules(self) -> RehearsalRules[QuantiseConfig]:
        """See :mod:`.rehearse`."""
        from mindgpt_plugins.stages.quantise.rehearse import QuantiseRehearsal

        return QuantiseRehearsal()

    def cost_rules(self) -> CostRules[QuantiseConfig]:
        """See :mod:`.cost`."""
        from mindgpt_plugins.stages.quantise.cost import QuantiseCost

        return QuantiseCost()
