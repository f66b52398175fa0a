"""Stage ``sft``: supervised fine-tuning by LLaMA-Factory with our curriculum and loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from mindgpt_patches.catalog import resolve_modes

from mindgpt_plugins.core.schema import StageConfig
from mindgpt_plugins.stages.base import Command, Context, CostRules, RehearsalRules, ReportRules, SetRead, Stage
from mindgpt_plugins.stages.sft import reference
from mindgpt_plugins.stages.sft import render as llamafactory
from mindgpt_plugins.stages.sft.config import SFTConfig
from mindgpt_plugins.stages.sft.host_check import find_template_problems
from mindgpt_plugins.stages.sft.reads import list_training_reads


class SFTStage(Stage[SFTConfig]):
    """Writes ``train.yaml`` and leaves ``model``, a Hugging Face folder with processor and tokenizer."""

    Config: ClassVar[type[StageConfig]] = SFTConfig
    side: ClassVar[str] = "sft"
    hosts: ClassVar[tuple[str, ...]] = ("llamafactory", "transformers", "torch")
    uses: ClassVar[tuple[str, ...]] = ("sampler", "mixture", "loss")
    entries: ClassVar[tuple[str, ...]] = tuple(f"mindgpt_patches.{name}" for name in resolve_modes({}, "sft"))

    def render(self, config: SFTConfig, context: Context) -> list[Command]:
        """Write the host's YAML; training, then merging the adapter for LoRA."""
        return llamafactory.render_training_commands(config, context, {"stage": "sft"}, _section(config, context))

    def artefacts(self, config: SFTConfig, context: Context) -> dict[str, str]:
        """``model``: the trained model."""
        return {"model": str(context.folder / "model")}

    def check(self, config: SFTConfig, context: Context) -> list[str]:
        """Divisibility, sets, names, excluded combinations and a reference that cannot be compared."""
        found = llamafactory.find_training_problems(config, context, {"stage": "sft"}, _section(config, context))
        named = config.kl.reference if config.kl is not None else None
        odd = reference.find_reference_problem(
            "kl.reference", named and context.model(named), context.model(config.model)
        )
        return [*found, odd] if odd else found

    def trained_further(self, config: SFTConfig, start: str, steps: int, seed: int) -> SFTConfig:
        """See :meth:`SFTConfig.further`."""
        return config.further(start, steps, seed)

    def check_model(self, config: SFTConfig, context: Context, folder: Path) -> list[str]:
        """The chat template, on the rows of the sets that are here."""
        return find_template_problems(config, context, folder)

    def set_reads(self, config: SFTConfig) -> list[SetRead]:
        """Prompt and reply of every row must fit ``cutoff_len``, or the host cuts them."""
        return list_training_reads(config)

    def rehearsal_rules(self) -> RehearsalRules[SFTConfig]:
        """See :mod:`.rehearse`."""
        from mindgpt_plugins.stages.sft.rehearse import TrainingRehearsal

        return TrainingRehearsal(self)

    def cost_rules(self) -> CostRules[SFTConfig]:
        """See :mod:`.cost`."""
        from mindgpt_plugins.stages.sft.cost import SFTCost

        return SFTCost()

    def report_rules(self) -> ReportRules:
        """See :mod:`.report`."""
        from mindgpt_plugins.stages.sft.report import SFTReport

        return SFTReport()


def _section(config: SFTConfig, context: Context) -> dict[str, Any]:
    section: dict[str, Any] = {"loss": config.loss.written()}
    if config.kl is not None:
        section["kl"] = {"sources": list(config.kl.sources), "beta": config.kl.beta}
        if config.kl.reference is not None:
            section["kl"]["reference"] = context.model(config.kl.reference)
    return section
