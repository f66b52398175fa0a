"""The sizes of the model that a stage works with; training changes none, so those its chain of stages began with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mindgpt_plugins.pipeline.plan import Plan, PlannedStage
from mindgpt_plugins.sizing import flops
from mindgpt_plugins.sizing.flops import Sized
from mindgpt_plugins.sizing.gpus import CostError


def find_stage_model(plan: Plan, planned: PlannedStage, models: Mapping[str, Path]) -> tuple[Path, Sized]:
    """Folder and sizes of a stage's model; the folder of a model that a stage makes may be still to come.

    Raises:
        CostError: the model is no local folder.
        ModelError: its sizes are not known.
        NotYet: a stage makes it, and its sizes are not known before.
    """
    rules = planned.stage.cost_rules()
    reference = rules.base_model(planned.config)
    if reference is None:
        folder = Path(planned.stage.artefacts(planned.config, planned.context).get("model", planned.folder / "model"))
        made = (folder / "config.json").is_file()
        return folder, flops.read_sized_model(folder) if made else rules.foresee_model(planned.config, planned.context)
    before = next((one for one in plan.stages if one.name == reference), None)
    if before is not None:
        return find_stage_model(plan, before, models)
    folder = models.get(reference) or Path(planned.context.model(reference))
    if not folder.is_dir():
        raise CostError(
            f"stage {planned.name!r}: model {reference!r} is not a local folder; give --model {reference}=FOLDER with "
            f"its small files (hf download {reference} --exclude '*.safetensors' --local-dir FOLDER)"
        )
    return folder, flops.read_sized_model(folder)
