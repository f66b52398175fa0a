"""Stage ``dpo``: preference alignment by LLaMA-Factory with our curriculum."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from mindgpt_patches.catalog import resolve_modes

from mindgpt_plugins.core.schema import StageConfig
from mindgpt_plugins.stages.base import Command, Context, CostRules, RehearsalRules, ReportRules, SetRead, Stage
from mindgpt_plugins.stages.dpo.config import DPOConfig
from mindgpt_plugins.stages.sft import reference
from mindgpt_plugins.stages.sft import render as llamafactory
from mindgpt_plugins.stages.sft.host_check import find_template_problems
from mindgpt_plugins.stages.sft.reads import list_training_reads


class DPOStage(Stage[DPOConfig]):
    """Writes ``train.yaml`` and leaves ``model``, a Hugging Face folder with processor and tokenizer."""

    Config: ClassVar[type[StageConfig]] = DPOConfig
    side: ClassVar[str] = "sft"
    hosts: ClassVar[tuple[str, ...]] = ("llamafactory", "transformers", "torch")
    uses: ClassVar[tuple[str, ...]] = ("sampler", "mixture")
    entries: ClassVar[tuple[str, ...]] = tuple(f"mindgpt_patches.{name}" for name in resolve_modes({}, "dpo"))

    def render(self, config: DPOConfig, context: Context) -> list[Command]:
        """Write the host's YAML; training, then merging the adapter for LoRA."""
        return llamafactory.render_training_commands(config, context, _host(config, context), {})

    def artefacts(self, config: DPOConfig, context: Context) -> dict[str, str]:
        """``model``: the trained model."""
        return {"model": str(context.folder / "model")}

    def check(self, config: DPOConfig, context: Context) -> list[str]:
        """Divisibility, sets, names, excluded combinations and a reference that cannot be compared."""
        found = llamafactory.find_training_problems(config, context, _host(config, context), {})
        named = config.reference and context.model(config.reference)
        odd = reference.find_reference_problem("reference", named, context.model(config.model))
        return [*found, odd] if odd else found

    def trained_further(self, config: DPOConfig, start: str, steps: int, seed: int) -> DPOConfig:
        """See :meth:`DPOConfig.further`."""
        return config.further(start, steps, seed)

    def check_model(self, config: DPOConfig, context: Context, folder: Path) -> list[str]:
        """The chat template, on the rows of the sets that are here."""
        return find_template_problems(config, context, folder)

    def set_reads(self, config: DPOConfig) -> list[SetRead]:
        """Prompt and the longer reply of every pair must fit ``cutoff_len``, or the host cuts them."""
        return list_training_reads(config)

    def rehearsal_rules(self) -> RehearsalRules[DPOConfig]:
        """See :mod:`.rehearse`."""
        from mindgpt_plugins.stages.dpo.rehearse import DPORehearsal

        return DPORehearsal(self)

    def cost_rules(self) -> CostRules[DPOConfig]:
        """See :mod:`.cost`."""
        from mindgpt_plugins.stages.dpo.cost import DPOCost

        return DPOCost()

    def report_rules(self) -> ReportRules:
        """See :mod:`.report`."""
        from mindgpt_plugins.stages.dpo.report import DPOReport

        return DPOReport()


def _host(config: DPOConfig, context: Context) -> dict[str, Any]:
    host: dict[str, Any] = {
        "stage": "dpo",
        "pref_loss": config.pref_loss,
        "pref_beta": config.pref_beta,
        "pref_bco_weight": config.pref_bco_weight,
        "pref_ftx": config.pref_ftx,
    }
    if config.ld_alpha is not None:
        host["ld_alpha"] = config.ld_alpha
    if config.reference is not None:
        host["ref_model"] = context.model(config.reference)
    return host
