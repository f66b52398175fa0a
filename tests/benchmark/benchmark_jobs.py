"""A benchmark stage's job without a recipe around it."""

from __future__ import annotations

from typing import Any

from mindgpt_plugins.core.schema import resolve_config
from mindgpt_plugins.stages.benchmark.config import BenchmarkConfig
from mindgpt_plugins.stages.benchmark.job import BenchmarkJob


def benchmark_job(**change: Any) -> BenchmarkJob:
    resolved = {
        **{"model": "/m", "model_name": "m", "seed": 0, "min_pixels": 1024, "max_pixels": 4096, "device": None},
        **{"data": {}, "engine_python": "python", "gate": None, **change},
    }
    return resolve_config(BenchmarkConfig(kind="benchmark", model="m"), BenchmarkJob, **resolved)
