"""Writes the quantised candidate with llm-compressor."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.files import read_json, write_json
from mindgpt_plugins.stages.quantise.calibration import Encoded, rows_for
from mindgpt_plugins.stages.quantise.schemes import FP8_CACHE, SCHEMES, kept


class QuantiseError(RuntimeError):
    """The model cannot be quantised as asked; the message says what to do."""


def quantise(config: Mapping[str, Any], folder: Path) -> Path:
    """Quantise ``config["model"]`` into ``folder/candidate`` and return it; a finished candidate is kept.

    Raises:
        QuantiseError: llm-compressor is missing, or the device cannot run the scheme.
        CalibrationError: see :func:`mindgpt_plugins.stages.quantise.calibration.rows_for`.
    """
    candidate = folder / "candidate"
    if (candidate / "done").is_file():
        return candidate
    shutil.rmtree(candidate, ignore_errors=True)
    scheme = SCHEMES[config["scheme"]]
    if config.get("device") == "cpu" and not scheme.cpu:
        raise QuantiseError(f"scheme {config['scheme']} has kernels for CUDA only; choose another one on CPU")
    rows = []
    if config["calibration"]:
        path = Path(config["model"]) / "config.json"
        if not path.is_file():
            raise QuantiseError(f"{config['model']} is no local model folder: there is no {path}")
        vision = "vision_config" in read_json(path)
        rows = rows_for(config["calibration"], vision=vision, seed=config["seed"])
    try:
        from llmcompressor import oneshot
    except ImportError as error:
        raise QuantiseError(
            f"llm-compressor cannot be imported ({error}); it fits no trainer's transformers, so it lives in an "
            "interpreter of its own: python3 -m venv env/quantise && env/quantise/bin/pip install "
            "-c constraints/quant.txt -e '.[quantise]', and launch: {quantise: {python: env/quantise/bin/python}}"
        ) from error
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    model = AutoModelForImageTextToText.from_pretrained(config["model"], dtype=torch.bfloat16)
    processor = AutoProcessor.from_pretrained(config["model"])
    arguments: dict[str, Any] = {}
    if rows:
        pixels = {"shortest_edge": config["min_pixels"], "longest_edge": config["max_pixels"]}
        data = list(Encoded(rows, processor, pixels))
        loader: Any = torch.utils.data.DataLoader(data, batch_size=None)  # type: ignore[arg-type]
        arguments = {"processor": processor, "dataset": loader, "num_calibration_samples": len(data)}
        write_json(folder / "calibration.json", [row.uid for row, _ in rows])
    oneshot(model=model, recipe=_modifier(config, model.config.model_type), **arguments)
    model.save_pretrained(candidate, save_compressed=True)
    processor.save_pretrained(candidate)
    (candidate / "done").touch()
    return candidate


def _modifier(config: Mapping[str, Any], model_type: str) -> Any:
    scheme = SCHEMES[config["scheme"]]
    module, _, name = scheme.method.partition(":")
    kind = getattr(importlib.import_module(f"llmcompressor.modifiers.{module}"), name)
    options = scheme.options | dict(config["options"])
    if config["kv_cache"] == "fp8":
        options["kv_cache_scheme"] = FP8_CACHE
    try:
        return kind(targets="Linear", scheme=scheme.preset, ignore=kept(model_type, config["keep"]), **options)
    except (TypeError, ValueError) as error:
        raise QuantiseError(f"{name} does not take these options ({dict(config['options'])}): {error}") from error
