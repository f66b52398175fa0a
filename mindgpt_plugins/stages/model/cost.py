"""What ``model`` computes on GPUs (nothing), and the sizes of the model that it will make."""

from __future__ import annotations

from mindgpt_plugins.sizing import model as sizes
from mindgpt_plugins.sizing.flops import Sized
from mindgpt_plugins.sizing.work import CostInputs, StageWork
from mindgpt_plugins.stages.context import Context
from mindgpt_plugins.stages.costing import CostRules
from mindgpt_plugins.stages.model.config import ModelConfig


class ModelCost(CostRules[ModelConfig]):
    """Fresh weights are drawn on CPU."""

    def base_model(self, config: ModelConfig) -> None:
        """It starts from nothing."""

    def foresee_model(self, config: ModelConfig, context: Context) -> Sized:
        """From its settings; the vocabulary is at most so large."""
        from mindgpt_plugins.stages.model import run as tiny_qwen3_vl

        text, vision = tiny_qwen3_vl.derive_model_sizes(config, context.max_pixels)
        raw = {"model_type": "qwen3_vl", "text_config": text, "vision_config": vision, "tie_word_embeddings": True}
        return Sized(sizes.parse_model_sizes(raw, "model"), 0, config.vision_layers)

    def count_work(self, config: ModelConfig, context: Context, job: CostInputs) -> StageWork:
        """Nothing."""
        return StageWork(assumptions=["no GPU"])
