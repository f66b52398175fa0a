"""Stage ``model``: makes a tiny Qwen3-VL with ``python -m mindgpt_plugins.stages.model.run``."""

from __future__ import annotations

from typing import ClassVar

from mindgpt_plugins.core.schema import StageConfig, write_model
from mindgpt_plugins.generation.config import SetLocation
from mindgpt_plugins.stages.base import Command, Context, CostRules, RehearsalRules, Stage
from mindgpt_plugins.stages.model.config import ModelConfig
from mindgpt_plugins.stages.model.job import ModelJob


class ModelStage(Stage[ModelConfig]):
    """Fresh weights, a tokenizer trained on the named sets, and the real processor."""

    Config: ClassVar[type[StageConfig]] = ModelConfig
    side: ClassVar[str] = "sft"
    hosts: ClassVar[tuple[str, ...]] = ("transformers", "torch")

    def render(self, config: ModelConfig, context: Context) -> list[Command]:
        """Write ``config.json`` for the module."""
        sets = [context.dataset(reference) for reference in config.tokenizer_from]
        path = context.folder / "config.json"
        job = ModelJob(
            model=config,
            sets=[SetLocation(folder=folder, name=name) for folder, name in sets],
            folder=context.folder / "model",
            seed=context.seed,
            min_pixels=context.min_pixels,
            max_pixels=context.max_pixels,
        )
        write_model(path, job)
        return [Command(("-m", "mindgpt_plugins.stages.model.run", str(path)))]

    def artefacts(self, config: ModelConfig, context: Context) -> dict[str, str]:
        """``model``: a Hugging Face folder with weights, tokenizer and processor."""
        return {"model": str(context.folder / "model")}

    def rehearsal_rules(self) -> RehearsalRules[ModelConfig]:
        """See :mod:`.rehearse`."""
        from mindgpt_plugins.stages.model.rehearse import ModelRehearsal

        return ModelRehearsal()

    def cost_rules(self) -> CostRules[ModelConfig]:
        """See :mod:`.cost`."""
        from mindgpt_plugins.stages.model.cost import ModelCost

        return ModelCost()
