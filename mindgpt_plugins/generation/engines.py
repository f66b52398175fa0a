"""Which engine answers a stage's prompts, and loading it once."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mindgpt_plugins.generation.collect import Answerer
from mindgpt_plugins.generation.config import EngineSettings, ModelSettings

if TYPE_CHECKING:
    from mindgpt_plugins.generation.hf_engine import Engine


def choose_engine_name(settings: EngineSettings) -> str:
    """``hf`` or ``vllm``: what ``engine: auto`` means in this interpreter."""
    if settings.engine != "auto":
        return settings.engine
    return "vllm" if settings.device != "cpu" and importlib.util.find_spec("vllm") is not None else "hf"


def load_hf_engine(settings: ModelSettings, model: str | None = None) -> Engine:
    """Our own engine for a stage's model, or for another one with the same settings.

    Raises:
        EngineError: the model cannot be used.
    """
    from mindgpt_plugins.generation.hf_engine import Engine

    return Engine(model or settings.model, **_common(settings))


def make_lazy_engine(settings: EngineSettings) -> Callable[[], Answerer]:
    """An engine from a stage's settings that is loaded at first use and then kept.

    Raises:
        EngineError: at first use, when the engine cannot be had or the model cannot be used.
    """

    @functools.cache
    def load() -> Answerer:
        if choose_engine_name(settings) == "vllm":
            from mindgpt_plugins.generation.vllm_engine import VllmEngine

            return VllmEngine(settings.model, **_common(settings), options=settings.vllm)
        return load_hf_engine(settings)

    return load


def _common(settings: ModelSettings) -> dict[str, Any]:
    return settings.model_dump(include={"max_new_tokens", "min_pixels", "max_pixels", "thinking", "seed", "device"})
