"""Makes verl's option ``model.tiled_mlp`` act: its FSDP engine reads it and drops it.

Why: ``FSDPEngine._build_module`` (verl 0.9.1) calls ``apply_monkey_patch`` without ``use_tiled_mlp`` and
``tiled_mlp_shards``, so ``actor_rollout_ref.model.tiled_mlp.enabled: true`` changes nothing. With the option off this
changes nothing either. For which models verl has a tiled MLP is verl's own table (llama, qwen2, qwen3; not Qwen3-VL):
for others verl now says so instead of silently going on.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from mindgpt_patches.guard import Place, replace_places

BUILD = {"a216ab0ed208": "verl 0.9.1"}
PATCH = {"26dc9abe507b": "verl 0.9.1"}
_option: ContextVar[dict[str, Any] | None] = ContextVar("tiled_mlp", default=None)


def places() -> list[Place]:
    """What is replaced."""
    import verl.workers.engine.fsdp.transformer_impl as module

    return [
        Place(module, "apply_monkey_patch", PATCH, _with_option),
        Place(module.FSDPEngine, "_build_module", BUILD, _remembering),
    ]


def apply() -> str:
    """Apply once.

    Returns:
        ``"applied"``.

    Raises:
        PatchRefused: the engine is not the one this was written for; nothing is changed.
    """
    replace_places(places())
    return "applied"


def _remembering(original: Any) -> Any:
    def _build_module(self: Any) -> Any:
        token = _option.set(dict(getattr(self.model_config, "tiled_mlp", None) or {}))
        try:
            return original(self)
        finally:
            _option.reset(token)

    return _build_module


def _with_option(original: Any) -> Any:
    def apply_monkey_patch(*args: Any, **kwargs: Any) -> Any:
        option = _option.get() or {}
        if option.get("enabled"):
            kwargs = {"use_tiled_mlp": True, "tiled_mlp_shards": int(option.get("num_shards", 4)), **kwargs}
        return original(*args, **kwargs)

    return apply_monkey_patch
