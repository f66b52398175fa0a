"""Lets verl 0.9.1 train vision towers that read an embedding's weight themselves (GLM-4.1V, GLM-4.6V) under FSDP2.

Why: verl wraps every ``nn.Embedding`` of an untied model by itself, so that its weight is whole only while that
module's own ``forward`` runs. GLM's vision tower takes ``position_embedding.weight`` and interpolates it:
``aten.grid_sampler_2d: got mixed torch.Tensor and DTensor``, on any device; SigLIP 2 (LFM2-VL) reshapes it. Here the
embeddings outside the language model stay with the parameters around them, whole during all of the forward pass.

Asked for with ``MINDGPT_PATCHES=verl_vision_tables``, which ``mindgpt run`` sets for RL stages.
"""

from __future__ import annotations

from typing import Any

from mindgpt_patches.guard import Place, replace_places

KNOWN = {"d0407bee733b": "verl 0.9.1"}


def places() -> list[Place]:
    """What is replaced."""
    import verl.utils.fsdp_utils as module

    return [Place(module, "_select_fsdp2_wrap_targets", KNOWN, _sparing_vision)]


def apply() -> str:
    """Apply once.

    Returns:
        ``"applied"``.

    Raises:
        PatchRefused: ``_select_fsdp2_wrap_targets`` is not the one this was written for; nothing is changed.
    """
    replace_places(places())
    return "applied"


def _sparing_vision(original: Any) -> Any:
    from torch import nn

    def _select_fsdp2_wrap_targets(model: Any, fsdp_transformer_layer_cls_to_wrap: Any) -> list[Any]:
        chosen: list[Any] = original(model, fsdp_transformer_layer_cls_to_wrap)
        if not hasattr(model.config, "vision_config"):
            return chosen
        own = set(map(id, _find_language_model(model).modules()))
        return [
            module
            for module in chosen
            if not isinstance(module, nn.Embedding)
            or id(module) in own
            or type(module).__name__ in fsdp_transformer_layer_cls_to_wrap
        ]

    return _select_fsdp2_wrap_targets


def _find_language_model(model: Any) -> Any:
    """The part that holds the input embedding, below an adapter too; the model itself where it cannot be told."""
    table = model.get_input_embeddings()
    holders = [module for module in model.modules() if any(child is table for child in module.children())]
    return holders[0] if holders else model
