"""What the process of a ``benchmark`` stage is told: the stage's settings with every reference resolved."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from mindgpt_plugins.core.schema import Strict
from mindgpt_plugins.generation.config import EngineSettings


class BenchmarkGateJob(Strict):
    """See :class:`~mindgpt_plugins.stages.benchmark.config.BenchmarkGate`."""

    before: Path
    groups: Literal["set", "capability"]
    margin: float
    on_fail: Literal["stop", "continue"]


class BenchmarkJob(EngineSettings):
    """Content of ``benchmark.json``; with ``server`` set, ``model`` and ``model_name`` are its URL."""

    server: str | None
    served_name: str | None
    key_env: str | None
    benchmarks: list[str]
    data: dict[str, Path]
    limit: int | None
    blank: bool
    engine_python: str
    timeout: float
    harness: dict[str, Any]
    sources: dict[str, str]
    general: list[str]
    domain: list[str]
    gate: BenchmarkGateJob | None
