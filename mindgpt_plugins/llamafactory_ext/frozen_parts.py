"""Makes sure that what a recipe freezes is frozen, for every family of models.

LLaMA-Factory 0.9.5 freezes by names that it lists per model type (``model/model_utils/visual.py``). A type that it does
not list (GLM-4.6V, LLaVA-OneVision, LFM2-VL, Idefics3) trains its tower without a word, and of some listed ones
(GLM-4V) it leaves embeddings and norms of the tower trainable.
"""

from __future__ import annotations

from typing import Any

from mindgpt_plugins.families.parts import find_model_parts
from mindgpt_plugins.llamafactory_ext.settings import LlamaFactorySettingsError


def freeze_model_parts(model: Any, *, tower: bool, projector: bool, language: bool) -> str | None:
    """Freeze what the host has left trainable of the parts that must not train.

    Args:
        model: as the host has prepared it, before an optimizer has seen it.
        tower: whether the vision tower is frozen.
        projector: whether what lies between it and the language model is.
        language: whether the language model is.

    Returns:
        What was mended, for the log; None where nothing was.

    Raises:
        LlamaFactorySettingsError: a tower is to be frozen, and the model's cannot be found.
    """
    parts = find_model_parts(model)
    if tower and not parts.tower and getattr(model.config, "vision_config", None) is not None:
        raise LlamaFactorySettingsError(
            f"freeze_vision_tower: no vision tower was found in {type(model).__name__}, so that it cannot be frozen; "
            "set freeze_vision_tower: false, or freeze its modules with llamafactory: {freeze_trainable_modules: …}"
        )
    mended = []
    for wanted, name, part in (
        (tower, "vision tower", parts.tower),
        (projector, "projector", parts.projector),
        (language, "language model", parts.language),
    ):
        left = [parameter for parameter in part.values() if parameter.requires_grad] if wanted else []
        for parameter in left:
            parameter.requires_grad_(False)
        if left:
            mended.append(f"{len(left)} of {len(part)} tensors of the {name}")
    if not mended:
        return None
    return f"LLaMA-Factory leaves {' and '.join(mended)} of a {model.config.model_type} trainable; frozen here"
