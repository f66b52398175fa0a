"""Writes the quantised candidate with llm-compressor."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.files import write_json
from mindgpt_plugins.families import (
    FamilyError,
    PixelLimits,
    find_family,
    has_vision,
    load_generator,
    load_processor,
)
from mindgpt_plugins.guards.weights import find_bad_weights
from mindgpt_plugins.stages.quantise.calibration import Encoded, select_calibration_rows
from mindgpt_plugins.stages.quantise.job import QuantiseJob
from mindgpt_plugins.stages.quantise.schemes import FP8_CACHE, SCHEMES, list_kept_modules


class QuantiseError(RuntimeError):
    """The model cannot be quantised as asked; the message says what to do."""


def quantise_model(job: QuantiseJob, folder: Path) -> Path:
    """Quantise the stage's model into ``folder/candidate`` and return it; a finished candidate is kept.

    Raises:
        QuantiseError: llm-compressor is missing, or the device cannot run the scheme.
        CalibrationError: see :func:`mindgpt_plugins.stages.quantise.calibration.select_calibration_rows`.
    """
    candidate = folder / "candidate"
    if (candidate / "done").is_file():
        return candidate
    shutil.rmtree(candidate, ignore_errors=True)
    scheme = SCHEMES[job.scheme]
    if job.device == "cpu" and not scheme.cpu:
        raise QuantiseError(f"scheme {job.scheme} has kernels for CUDA only; choose another one on CPU")
    bad = find_bad_weights(Path(job.model))
    if bad is not None:
        raise QuantiseError(f"{bad}: the model's training diverged; quantise an earlier checkpoint")
    rows = []
    if job.calibration:
        path = Path(job.model) / "config.json"
        if not path.is_file():
            raise QuantiseError(f"{job.model} is no local model folder: there is no {path}")
        rows = select_calibration_rows(job.calibration, vision=has_vision(path.parent), seed=job.seed)
    try:
        from llmcompressor import oneshot
    except ImportError as error:
        raise QuantiseError(
            f"llm-compressor cannot be imported ({error}); it fits no trainer's transformers, so it lives in an "
            "interpreter of its own: python3 -m venv env/quantise && env/quantise/bin/pip install "
            "-c constraints/quant.txt -e '.[quantise]', and launch: {quantise: {python: env/quantise/bin/python}}"
        ) from error
    import torch

    model = load_generator(job.model, dtype=torch.bfloat16)
    processor = load_processor(job.model)
    arguments: dict[str, Any] = {}
    if rows:
        try:
            data = list(
                Encoded(rows, find_family(processor, job.thinking), PixelLimits(job.min_pixels, job.max_pixels))
            )
        except FamilyError as error:
            raise QuantiseError(f"{job.model}: {error}") from None
        loader: Any = torch.utils.data.DataLoader(data, batch_size=None)  # type: ignore[arg-type]
        arguments = {"processor": processor, "dataset": loader, "num_calibration_samples": len(data)}
        write_json(folder / "calibration.json", [row.uid for row, _ in rows])
    oneshot(model=model, recipe=_modifier(job, model.config.model_type), **arguments)
    model.save_pretrained(candidate, save_compressed=True)
    processor.save_pretrained(candidate)
    (candidate / "done").touch()
    return candidate


def _modifier(job: QuantiseJob, model_type: str) -> Any:
    scheme = SCHEMES[job.scheme]
    module, _, name = scheme.method.partition(":")
    kind = getattr(importlib.import_module(f"llmcompressor.modifiers.{module}"), name)
    options = scheme.options | job.options
    if job.kv_cache == "fp8":
        options["kv_cache_scheme"] = FP8_CACHE
    try:
        return kind(targets="Linear", scheme=scheme.preset, ignore=list_kept_modules(model_type, job.keep), **options)
    except (TypeError, ValueError) as error:
        raise QuantiseError(f"{name} does not take these options ({job.options}): {error}") from error
