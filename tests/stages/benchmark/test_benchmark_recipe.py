"""What a benchmark stage accepts, refuses and renders, without any harness."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from benchmark_formats import FORMATS
from benchmark_jobs import benchmark_job
from pydantic import ValidationError

from mindgpt_plugins.core.schema import read_model
from mindgpt_plugins.generation.vllm_server import ServeError
from mindgpt_plugins.stages.base import Context
from mindgpt_plugins.stages.benchmark.catalogue import BENCHMARKS
from mindgpt_plugins.stages.benchmark.config import BenchmarkConfig
from mindgpt_plugins.stages.benchmark.job import BenchmarkJob
from mindgpt_plugins.stages.benchmark.model_server import (
    choose_server_engine,
    list_served_models,
    normalise_base_url,
    render_vllm_flags,
)
from mindgpt_plugins.stages.benchmark.run import build_harness_task
from mindgpt_plugins.stages.benchmark.stage import BenchmarkStage

URL = "http://127.0.0.1:1"


def config(**keys: Any) -> BenchmarkConfig:
    return BenchmarkConfig.model_validate({"kind": "benchmark", "server": URL, **keys})


@pytest.mark.parametrize(
    "keys, cause",
    [
        ({"benchmarks": ["mmstra"]}, "did you mean 'mmstar'\\? choose from mmbench"),
        ({"benchmarks": ["zzz"]}, "choose from mmbench, mmstar, mathvista, mathvision, mmmu, ocrbench"),
        ({"benchmarks": ["pope", "pope"]}, "named twice"),
        ({"benchmarks": []}, "at least 1 item"),
        ({"model": "./m"}, "either `model` or `server`"),
        ({"server": None}, "either `model` or `server`"),
        ({"benchmarks": ["pope"], "data": {"mmstar": "."}}, "data: mmstar is not among `benchmarks`"),
        ({"sources": {"pop": "domain"}}, "there is no benchmark 'pop'"),
        ({"harness": {"api_url": "x"}}, "harness.api_url is set; use `server` of the stage"),
        ({"harness": {"use_cache": "x"}}, "harness.use_cache is set by the stage"),
        ({"harness": {"dataset_args": {"mm_bench": {}}}}, "did you mean 'mmbench'"),
    ],
)
def test_a_wrong_stage_is_refused(keys: dict[str, Any], cause: str) -> None:
    with pytest.raises(ValidationError, match=cause):
        config(**keys)


def test_every_benchmark_has_a_local_format() -> None:
    assert FORMATS.keys() == BENCHMARKS.keys()


def test_rendered_settings_lead_to_the_harness_task(tmp_path: Path) -> None:
    (tmp_path / "star").mkdir()
    context = Context("b", tmp_path / "b", {"old": {"predictions": "/old/p.jsonl"}}, seed=3, recipe_folder=tmp_path)
    context.folder.mkdir()
    wanted = config(
        benchmarks=["mmstar", "pope"],
        data={"mmstar": "./star"},
        limit=5,
        gate={"before": "old"},
        harness={"judge": {"strategy": "rule"}, "dataset_args": {"pope": {"subset_list": ["random"]}}},
    )
    assert list(wanted.references()) == [("path", "./star"), ("scores", "old")]
    (command,) = BenchmarkStage().render(wanted, context)
    assert command.argv == ("-m", "mindgpt_plugins.stages.benchmark", "benchmark.json")
    job = read_model(context.folder / "benchmark.json", BenchmarkJob)
    assert job.gate and job.gate.before == Path("/old/p.jsonl") and job.engine_python == sys.executable
    told = build_harness_task(job, "m", {"seen": "http://x/seen/v1"})
    assert told["config"]["datasets"] == ["mm_star", "pope"] and told["config"]["judge"] == {"strategy": "rule"}
    assert told["config"]["dataset_args"] == {
        "mm_star": {"local_path": str(tmp_path / "star")},
        "pope": {"subset_list": ["random"]},
    }
    assert told["config"]["limit"] == 5 and told["config"]["seed"] == 3
    assert told["config"]["generation_config"]["temperature"] == 0.0


def test_a_missing_interpreter_is_seen_before_anything_runs(tmp_path: Path) -> None:
    found = BenchmarkStage().check(config(engine_python="env/gone/python"), Context("b", tmp_path, {}, seed=0))
    assert found == ["engine_python: interpreter 'env/gone/python' does not exist"]


def test_options_of_vllm_become_flags_of_its_server() -> None:
    options = {"max_model_len": 4096, "enforce_eager": True, "enable_prefix_caching": False, "hf_overrides": {"a": 1}}
    assert render_vllm_flags(options) == (
        *("--max-model-len", "4096", "--enforce-eager", "--no-enable-prefix-caching"),
        *("--hf-overrides", '{"a": 1}'),
    )


def test_auto_asks_the_interpreter_that_will_run_the_model(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 0\n")
    python.chmod(0o755)
    assert choose_server_engine(benchmark_job(engine="auto", device=None, engine_python=str(python))) == "vllm"
    python.write_text("#!/bin/sh\nexit 1\n")
    assert choose_server_engine(benchmark_job(engine="auto", device=None, engine_python=str(python))) == "hf"
    assert choose_server_engine(benchmark_job(engine="auto", device="cpu", engine_python=str(python))) == "hf"
    assert choose_server_engine(benchmark_job(engine="vllm", device="cpu")) == "vllm"


def test_a_server_that_is_not_there_is_named() -> None:
    assert normalise_base_url("http://a:1/v1/") == "http://a:1"
    with pytest.raises(ServeError, match="http://127.0.0.1:1 does not answer GET /v1/models"):
        list_served_models(URL, {})
