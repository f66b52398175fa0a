"""How training by LLaMA-Factory is rehearsed: two optimizer steps that keep what can break."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from mindgpt_patches import catalog

from mindgpt_plugins.core.dataset_files import read_set_info
from mindgpt_plugins.llamafactory_ext import checkpoints
from mindgpt_plugins.stages.base import Stage
from mindgpt_plugins.stages.context import Context
from mindgpt_plugins.stages.rehearsal import Draft, Learning, NamedSet, RehearsalRules, Room, SetCheck
from mindgpt_plugins.stages.sft.config import TrainingConfig

STEPS = 2
_LENGTH = (
    "max_steps", "num_train_epochs", "save_steps", "save_strategy", "logging_steps", "eval_steps", "max_samples",
    "per_device_train_batch_size", "gradient_accumulation_steps", "per_device_eval_batch_size", "report_to",
    "run_name", "push_to_hub", "load_best_model_at_end",
)  # fmt: skip
"""Host keys that would undo what the rehearsal sets, or report it somewhere."""
_ACCELERATOR = {
    "deepspeed": "DeepSpeed (sharding, offload)",
    "fsdp": "FSDP sharding",
    "fsdp_config": "FSDP sharding",
    "use_fsdp2": "FSDP2 sharding",
    "flash_attn": "the attention kernel",
    "bf16": "bfloat16 training",
    "fp16": "float16 training",
    "pure_bf16": "bfloat16 weights",
    "tf32": "TF32 products",
    "enable_liger_kernel": "Liger's kernels",
    "use_unsloth": "Unsloth's kernels",
    "quantization_bit": "quantised base weights",
    "quantization_method": "quantised base weights",
    "ddp_timeout": "a time limit of NCCL",
    "torch_compile": "compiled graphs",
    "infer_dtype": "the dtype of the merged model",
    "double_quantization": "quantised base weights",
}


class TrainingRehearsal(RehearsalRules[TrainingConfig]):
    """What ``sft`` and ``dpo`` share.

    Args:
        stage: renders the host's config.
    """

    patched: ClassVar[str] = "sft"
    """Whose patches are applied."""

    def __init__(self, stage: Stage[Any]):
        self.stage = stage

    def shrink(self, draft: Draft, room: Room) -> None:
        """Two steps of few samples, a checkpoint after each."""
        workers = draft.get("workers")
        accumulation = draft.get("gradient_accumulation")
        micro = max(1, draft.get("batch_size") // (accumulation * workers))
        few = min(2, workers)
        draft.set("epochs", None)
        draft.set("max_steps", STEPS)
        draft.set("save_steps", 1)
        draft.set("keep_checkpoints", max(2, draft.get("keep_checkpoints")))
        draft.set("logging_steps", 1)
        if few < workers:
            draft.set("workers", few, "gpu only", f"{workers} ranks and their memory; {few} over gloo are proven")
        draft.most("gradient_accumulation", 2)
        draft.set("batch_size", few * min(2, accumulation) * min(2, micro))
        draft.most("dataloader_workers", 1)
        draft.most("eval_steps", 1)
        for key in _LENGTH:
            draft.drop(f"llamafactory.{key}", "smaller", "")
        for key, means in _ACCELERATOR.items():
            if draft.get(f"llamafactory.{key}") is None:
                draft.settings.get("llamafactory", {}).pop(key, None)
            draft.drop(f"llamafactory.{key}", "gpu only", means)
        optimizer = str(draft.get("llamafactory.optim") or "")
        if any(word in optimizer for word in ("8bit", "paged", "fused", "apex")):
            draft.drop("llamafactory.optim", "gpu only", f"the optimizer {optimizer}; AdamW is proven")

    def find_column_problems(self, config: TrainingConfig, context: Context, sets: list[NamedSet]) -> list[str]:
        """Columns that the host, our sampler and our loss read, where all sets are here."""
        if len(sets) < len(config.sets()):
            return []
        from mindgpt_plugins.curriculum.base import CurriculumError
        from mindgpt_plugins.llamafactory_ext.columns import DataError
        from mindgpt_plugins.llamafactory_ext.forecast import read_host_rows
        from mindgpt_plugins.llamafactory_ext.launch import read_host_arguments as read_yaml
        from mindgpt_plugins.llamafactory_ext.settings import LlamaFactorySettingsError, parse_section

        with tempfile.TemporaryDirectory() as scratch:
            self.stage.render(config, replace(context, folder=Path(scratch)))
            host = read_yaml(Path(scratch) / "train.yaml", [])
            try:
                for _ in read_host_rows(host, parse_section(host.pop("mindgpt"))):
                    pass
            except (DataError, LlamaFactorySettingsError) as error:
                return [str(error)]
            except CurriculumError:  # the host selects the rows itself; it will look at them when it runs
                return []
        return []

    def check_set(self, config: TrainingConfig, context: Context, chosen: NamedSet) -> SetCheck:
        """What LLaMA-Factory's template makes of real rows against what the model's own chat template makes of them."""
        file = str(read_set_info(chosen.folder, chosen.name).entry.get("file_name", f"{chosen.name}.json"))
        arguments = [context.model(config.model), config.template, str(chosen.folder / file)]
        if system := config.llamafactory.get("default_system"):
            arguments += ["--default-system", str(system)]
        arguments += ["--thinking", context.thinking]
        return SetCheck("chat template", "mindgpt_plugins.llamafactory_ext.template_check", tuple(arguments))

    def measure_progress(self, config: TrainingConfig, folder: Path) -> int:
        """Steps of the last whole checkpoint."""
        whole = [
            path for path in _checkpoints(folder) if checkpoints.find_checkpoint_problem(path, config.workers) is None
        ]
        return max((int(path.name.rpartition("-")[2]) for path in whole), default=0)

    def list_saved(self, config: TrainingConfig, folder: Path, step: int) -> Iterable[Path]:
        """The checkpoint's trainer state."""
        return [path / "trainer_state.json" for path in _checkpoints(folder) if path.name == f"checkpoint-{step}"]

    def learning(self, config: TrainingConfig) -> Learning:
        """The loss and gradient norm of the host's log; what is frozen stays."""
        frozen = set()
        if config.freeze_vision_tower:
            frozen.add("vision")
        if config.freeze_vision_tower if config.freeze_projector is None else config.freeze_projector:
            frozen.add("projector")
        if config.llamafactory.get("freeze_language_model"):
            frozen.add("language")
        patches = catalog.resolve_modes(config.patches, self.patched)
        return Learning("loss", "grad_norm", config.model, config.lr, frozenset(frozen), patches)


def _checkpoints(folder: Path) -> list[Path]:
    return [path for kind in ("model", "adapter") for path in (folder / kind).glob("checkpoint-*")]
