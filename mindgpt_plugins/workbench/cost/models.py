"""The sizes of the model that a stage works with; training changes none, so those its chain of stages began with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindgpt_plugins.pipeline.plan import Plan, PlannedStage
from mindgpt_plugins.stages.model.config import ModelConfig
from mindgpt_plugins.workbench.cost import flops as cost_flops
from mindgpt_plugins.workbench.cost.flops import Sized
from mindgpt_plugins.workbench.cost.gpus import CostError
from mindgpt_plugins.workbench.parallel import config as sizes


def find(plan: Plan, planned: PlannedStage, models: Mapping[str, Path]) -> tuple[Path, Sized]:
    """Folder and sizes of a stage's model; the folder of a ``model`` stage may be still to come.

    Raises:
        CostError: the model is no local folder.
        ModelError: its sizes are not known.
    """
    config: Any = planned.config
    if isinstance(config, ModelConfig):
        folder = Path(planned.stage.artefacts(config, planned.context)["model"])
        made = (folder / "config.json").is_file()
        return folder, cost_flops.read(folder) if made else _foreseen(config, planned.context.max_pixels)
    reference = str(getattr(config, "start", None) or config.model)
    before = next((one for one in plan.stages if one.name == reference), None)
    if before is not None:
        return find(plan, before, models)
    folder = models.get(reference) or Path(planned.context.model(reference))
    if not folder.is_dir():
        raise CostError(
            f"stage {planned.name!r}: model {reference!r} is not a local folder; give --model {reference}=FOLDER with "
            f"its small files (hf download {reference} --exclude '*.safetensors' --local-dir FOLDER)"
        )
    return folder, cost_flops.read(folder)


def _foreseen(config: ModelConfig, max_pixels: int) -> Sized:
    """The model that a ``model`` stage will make; its vocabulary is at most so large."""
    from mindgpt_plugins.stages.model import run as tiny_qwen3_vl

    text, vision = tiny_qwen3_vl.sizes(config, max_pixels)
    raw = {"model_type": "qwen3_vl", "text_config": text, "vision_config": vision, "tie_word_embeddings": True}
    return Sized(sizes.parse(raw, "model"), 0, config.vision_layers)
