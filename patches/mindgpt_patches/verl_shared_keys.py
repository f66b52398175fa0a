"""Lets verl 0.9.1 train models whose layers share keys and values (Gemma 4 E2B, E4B) under FSDP2.

Why: such a model hands one dictionary from layer to layer: early layers write their keys and values, and later ones
read them. FSDP2 rebuilds every dictionary among a wrapped layer's inputs, to cast or to watch its tensors, so that what
an early layer writes is lost: ``KeyError`` in the first pass, on any device. Here layers get something that FSDP2 does
not take for a dictionary and that writes through to it.

Asked for with ``MINDGPT_PATCHES=verl_shared_keys``, which ``mindgpt run`` sets for RL stages.
"""

from __future__ import annotations

from typing import Any

from mindgpt_patches.guard import Place, replace_places

KNOWN = {"bd9d609b3414": "verl 0.9.1"}
SHARED = "shared_kv_states"
"""The argument's name in transformers' Gemma 3n and Gemma 4."""


def places() -> list[Place]:
    """What is replaced."""
    import verl.utils.fsdp_utils as module

    return [Place(module, "apply_fsdp2", KNOWN, _writing_through)]


def apply() -> str:
    """Apply once.

    Returns:
        ``"applied"``.

    Raises:
        PatchRefused: ``apply_fsdp2`` is not the one this was written for; nothing is changed.
    """
    replace_places(places())
    return "applied"


class SharedStates:
    """A dictionary that is none to FSDP2.

    Args:
        states: that is read and written.
    """

    def __init__(self, states: dict[int, Any]):
        self._states = states

    def __getitem__(self, layer: int) -> Any:
        return self._states[layer]

    def __setitem__(self, layer: int, states: Any) -> None:
        self._states[layer] = states


def _writing_through(original: Any) -> Any:
    def apply_fsdp2(model: Any, fsdp_kwargs: Any, config: Any) -> Any:
        done = original(model, fsdp_kwargs, config)
        text = model.config.get_text_config() if hasattr(model.config, "get_text_config") else model.config
        if getattr(text, "num_kv_shared_layers", 0):
            for module in model.modules():
                if hasattr(module, "self_attn"):
                    # In front of the hook that FSDP2 has just registered.
                    module.register_forward_pre_hook(_wrap_states, prepend=True, with_kwargs=True)
        return done

    return apply_fsdp2


def _wrap_states(module: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]] | None:
    states = kwargs.get(SHARED)
    return (args, {**kwargs, SHARED: SharedStates(states)}) if isinstance(states, dict) else None
