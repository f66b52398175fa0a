"""Keys that say how a stage runs leave its hash; keys that may change what it computes do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mindgpt_plugins.recipe.hashing import collect_identity, hash_identity
from mindgpt_plugins.recipe.loading import validate_recipe

SERVER = {"base_url": "http://127.0.0.1:8000/v1", "model": "m"}
STAGES: dict[str, dict[str, Any]] = {
    "data": {"kind": "data", "images": {"path": "."}, "endpoints": {"teacher": [SERVER]}},
    "sft": {"kind": "sft", "model": "a/b", "data": ["./set"], "max_steps": 1},
    "rl": {"kind": "rl", "model": "a/b", "train": "./set", "steps": 1, "rewards": {"accuracy": {"weight": 1}}},
    "benchmark": {"kind": "benchmark", "model": "a/b"},
}


def hashed(folder: Path, kind: str, **keys: Any) -> str:
    stage = {**STAGES[kind], **keys}
    recipe = validate_recipe({"name": "r", "device": "cpu", "stages": {"s": stage}}, folder / "r.yaml")
    return hash_identity(collect_identity(recipe, "s", {}, {}, {}))


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("data", {"engine": "ray"}),
        ("data", {"python": "env/bin/python"}),
        ("data", {"endpoints": {"teacher": [{**SERVER, "max_in_flight": 2, "requests_per_minute": 9.0}]}}),
        ("data", {"endpoints": {"teacher": [{**SERVER, "api_key_env": "KEY", "timeout": 9.0, "price_in": 2.0}]}}),
        ("sft", {"save_steps": 7, "keep_checkpoints": 5}),
        ("rl", {"save_every": 7, "vllm": {"gpu_memory_utilization": 0.3}}),
        ("benchmark", {"batch_size": 7, "timeout": 9.0, "engine_python": "env/bin/python"}),
    ],
)
def test_how_it_runs_does_not_count(tmp_path: Path, kind: str, keys: dict[str, Any]) -> None:
    assert hashed(tmp_path, kind, **keys) == hashed(tmp_path, kind)


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("data", {"endpoints": {"teacher": [{**SERVER, "model": "other"}]}}),
        ("data", {"endpoints": {"teacher": [{**SERVER, "base_url": "http://127.0.0.1:9000/v1"}]}}),
        # The number of ranks decides which sample is in which batch, and verl's checkpoints fit one number only.
        ("sft", {"workers": 2}),
        ("rl", {"workers": 2}),
        # A streamed set is cut into as many shards, and a sampler that learns is asked so much earlier.
        ("sft", {"dataloader_workers": 2}),
        ("benchmark", {"max_new_tokens": 7}),
    ],
)
def test_what_it_computes_counts(tmp_path: Path, kind: str, keys: dict[str, Any]) -> None:
    assert hashed(tmp_path, kind, **keys) != hashed(tmp_path, kind)
