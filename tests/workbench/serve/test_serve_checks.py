"""What ``mindgpt serve`` refuses before it starts anything."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from mindgpt_plugins.core import compat
from mindgpt_plugins.generation.vllm_server import ServeError, VllmServerSettings
from mindgpt_plugins.workbench.serve import checks


def model(folder: Path, **config: Any) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(
        json.dumps({"model_type": "qwen3_vl", "text_config": {"vocab_size": 9}} | config)
    )
    return folder


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set the version that the interpreter has."""
    return lambda version: monkeypatch.setattr(checks, "_version", lambda python, names: version)


FP8 = {"quant_method": "compressed-tensors", "format": "float-quantized"}


def test_an_interpreter_without_vllm(tmp_path: Path) -> None:
    with pytest.raises(ServeError, match="no vLLM; install it there, or name another one with --python"):
        checks.check_server_settings(VllmServerSettings(model(tmp_path / "m"), "m", sys.executable))
    with pytest.raises(ServeError, match="--python /nowhere/python"):
        checks.check_server_settings(VllmServerSettings(tmp_path / "m", "m", "/nowhere/python"))
    with pytest.raises(ServeError, match="is no working interpreter"):
        checks.check_server_settings(VllmServerSettings(tmp_path / "m", "m", "/bin/false"))


def test_a_version_is_read_from_the_interpreter() -> None:
    assert checks._version(sys.executable, ("no-such-thing", "packaging")) == compat.metadata.version("packaging")


def test_a_quantised_model_and_the_wrong_vllm(tmp_path: Path, vllm: Any) -> None:
    vllm("0.6.3")
    quantised, plain = model(tmp_path / "q", quantization_config=FP8), model(tmp_path / "p")
    said = (
        r"the model is quantised \(compressed-tensors, float-quantized\), and in py vllm 0.6.3 is not supported \(supp"
    )
    with pytest.raises(ServeError, match=said):
        checks.check_server_settings(VllmServerSettings(quantised, "m", "py"))
    with pytest.raises(ServeError, match="py: vllm 0.6.3 is not supported"):
        checks.check_server_settings(VllmServerSettings(plain, "m", "py"))
    vllm(compat.HOSTS["vllm"].validated)
    checks.check_server_settings(VllmServerSettings(quantised, "m", "py", cpu=True))


def test_a_model_quantised_for_cuda_on_cpu(tmp_path: Path, vllm: Any) -> None:
    vllm("0.28.0")
    found = model(tmp_path / "q", quantization_config=FP8 | {"format": "nvfp4-pack-quantized"})
    with pytest.raises(ServeError, match="quantised for CUDA .*no kernels for it on CPU"):
        checks.check_server_settings(VllmServerSettings(found, "m", "py", cpu=True))
    checks.check_server_settings(VllmServerSettings(found, "m", "py"))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{method: ngram}", "is not JSON"),
        ("[1]", "is no JSON object"),
        ('{"num_speculative_tokens": 3}', "neither a method nor a draft model; for example"),
        ('{"method": "ngram"}', "ngram needs num_speculative_tokens"),
        ('{"method": "ngram", "num_speculative_tokens": 0}', "num_speculative_tokens is 0, not a whole number from 1"),
        (
            '{"method": "ngram", "num_speculative_tokens": 2, "prompt_lookup_min": 4, "prompt_lookup_max": 3}',
            "prompt_lookup_min 4 is above prompt_lookup_max 3",
        ),
        ('{"method": "ngram_gpu", "num_speculative_tokens": 2}', "ngram_gpu needs a GPU"),
        ('{"method": "eagle3", "num_speculative_tokens": 2}', "eagle3 needs a draft model"),
        ('{"model": "/nowhere/draft", "num_speculative_tokens": 2}', "/nowhere/draft has no config.json"),
        ('{"model": "DRAFT", "num_speculative_tokens": 2}', "a vocabulary of 7, the served model one of 9"),
    ],
)
def test_speculative_decoding_that_cannot_work(tmp_path: Path, vllm: Any, config: str, message: str) -> None:
    vllm("0.28.0")
    draft = model(tmp_path / "draft", text_config={}, vocab_size=7)
    served = model(tmp_path / "m")
    text = config.replace("DRAFT", str(draft))
    for more in (("--speculative-config", text), (f"--speculative-config={text}",)):
        with pytest.raises(ServeError, match=message):
            checks.check_server_settings(VllmServerSettings(served, "m", "py", cpu=True, more=more))


def test_speculative_decoding_that_can(tmp_path: Path, vllm: Any) -> None:
    vllm("0.28.0")
    served, draft = model(tmp_path / "m"), model(tmp_path / "draft")
    for asked in (
        {"method": "ngram", "num_speculative_tokens": 4},
        {"model": str(draft), "num_speculative_tokens": 2},
        {"method": "eagle3", "model": "some/head"},
    ):
        checks.check_server_settings(
            VllmServerSettings(served, "m", "py", cpu=True, more=("--speculative-config", json.dumps(asked)))
        )
