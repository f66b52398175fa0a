"""Which models verl can train by RL, said from a model folder's own JSON files before anything is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mindgpt_plugins.core.files import read_json
from mindgpt_plugins.families.settings import has_vision
from mindgpt_plugins.families.soundness import is_in_transformers, read_processor_class

VERL_PROCESSORS = frozenset(
    {
        "Gemma4Processor",
        "Glm46VProcessor",
        "Glm4vProcessor",
        "MllamaProcessor",
        "Qwen2VLProcessor",
        "Qwen2_5_VLProcessor",
        "Qwen3VLProcessor",
    }
)
"""Processor classes of ``hf_processor`` in verl 0.9.1's ``utils/tokenizer/tokenizer.py``; any other becomes None."""

OWN_POSITIONS = frozenset({"ernie4_5_vl_moe", "glm_image", "glm_ocr", "paddleocr_vl", "qwen2_5_omni", "qwen3_omni_moe"})
"""Model types of transformers whose model computes positions in several dimensions (``get_rope_index``) and whose
processor is not one of :data:`VERL_PROCESSORS`: with verl's one-dimensional ones they would train on a wrong order."""

_TEMPLATE_FILES = ("chat_template.jinja", "chat_template.json", "additional_chat_templates")


def find_rl_refusal(folder: Path, *, registers: bool = True) -> str | None:
    """Why RL cannot take a model; None where nothing in its folder speaks against it.

    Args:
        folder: of the model, local; one without ``config.json`` is no refusal of this function's.
        registers: whether the patch ``verl_processors`` may act, which gives verl the processors that it lacks.

    Returns:
        One sentence with the model's class, the host's reason and a way out.
    """
    config = _read(folder / "config.json")
    kind, processor = str(config.get("model_type", "?")), read_processor_class(folder)
    if kind in OWN_POSITIONS:  # before all else: Qwen-Omni's vision part is not where others have theirs
        return (
            f"{kind} computes positions in several dimensions, and verl 0.9.1 can do so for the processors of Qwen-VL "
            "and GLM-V only; train it by SFT and DPO, or take another model"
        )
    if not config or not has_vision(folder):
        return None
    if any("AutoModel" in key for key in config.get("auto_map") or {}) and not is_in_transformers(kind):
        return (
            f"the model ({kind}) is code of its own folder (auto_map), which verl is not told to trust; take the "
            "checkpoint converted to transformers' classes (its name mostly ends in -hf)"
        )
    if kind == "mllama":
        return (
            "mllama attends to its pictures by a cross_attention_mask over the text, and verl 0.9.1 makes that of the "
            "text without its picture; train it by SFT and DPO, or take another model"
        )
    if not registers and processor not in VERL_PROCESSORS:
        return (
            f"verl 0.9.1 has no place for {processor or 'this processor'} ({kind}) and drops it, so that no picture "
            "can be read; remove patches: {verl_processors: off}"
        )
    if not _has_template(folder):
        return f"{kind} has no chat template, and verl renders prompts with it; save chat_template.jinja in its folder"
    return None


def _has_template(folder: Path) -> bool:
    if any((folder / name).exists() for name in _TEMPLATE_FILES):
        return True
    return any(_read(folder / name).get("chat_template") for name in ("processor_config.json", "tokenizer_config.json"))


def _read(path: Path) -> dict[str, Any]:
    loaded = read_json(path) if path.is_file() else {}
    return loaded if isinstance(loaded, dict) else {}
