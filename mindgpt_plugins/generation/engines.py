"""Which engine answers a stage's prompts, and loading it once."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

from mindgpt_plugins.generation.collect import Answerer


def engine_name(config: Mapping[str, Any]) -> str:
    """``hf`` or ``vllm``: what ``engine: auto`` means in this interpreter."""
    engine = str(config.get("engine", "auto"))
    if engine != "auto":
        return engine
    return "vllm" if config.get("device") != "cpu" and importlib.util.find_spec("vllm") is not None else "hf"


def load_once(config: Mapping[str, Any]) -> Callable[[], Answerer]:
    """An engine from a stage's settings that is loaded at first use and then kept.

    Raises:
        EngineError: at first use, when the engine cannot be had or the model cannot be used.
    """

    @functools.cache
    def load() -> Answerer:
        common: dict[str, Any] = {
            "max_new_tokens": config["max_new_tokens"],
            "min_pixels": config["min_pixels"],
            "max_pixels": config["max_pixels"],
            "seed": config["seed"],
            "device": config.get("device"),
        }
        if engine_name(config) == "vllm":
            from mindgpt_plugins.generation.vllm_engine import VllmEngine

            return VllmEngine(config["model"], **common, options=config.get("vllm"))
        from mindgpt_plugins.generation.hf_engine import Engine

        return Engine(config["model"], **common)

    return load
