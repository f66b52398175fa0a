"""Liger's kernels in Qwen3-VL: the same numbers in Triton's interpreter; guarded, reversible, counted."""

import contextlib
import json
import os
import subprocess
import sys

import pytest
import torch
from mindgpt_patches import PatchOutcome, PatchRefused, catalog, liger_qwen3_vl

INTERPRETED = """
import json
import numpy as np, torch
import triton.language as tl, triton.runtime.interpreter as interpreter
import liger_kernel.ops.layer_norm, liger_kernel.ops.rms_norm

# What Triton's interpreter lacks for Liger: float arguments as tensors, and the device library's rsqrt.
convert = interpreter._implicit_cvt

def as_tensor(value):
    if type(value) is not float:
        return convert(value)
    return tl.tensor(interpreter.TensorHandle(np.array([value], dtype=np.float32), tl.float32), tl.float32)

interpreter._implicit_cvt = as_tensor
for module in (liger_kernel.ops.layer_norm, liger_kernel.ops.rms_norm):
    module.rsqrt = lambda x: tl.rsqrt(x)

from mindgpt_patches import liger_qwen3_vl as patch
from mindgpt_patches.certificate import compute_seeded_run
assert patch.apply() == patch.apply()
calls = {}

def counted(name, function):
    def run(*args):
        calls[name] = calls.get(name, 0) + 1
        return function(*args)
    return run

import liger_kernel.ops as ops
for name in ("LigerRMSNormFunction", "LigerLayerNormFunction", "LigerSiLUMulFunction"):
    kernel = getattr(ops, name)
    kernel.apply = counted(name, kernel.apply)
found = {}
for experts in (0, 4):
    got = compute_seeded_run(lambda: patch.run_small_model(experts))
    modules = patch.replaced(patch.make_small_model(experts))
    made = dict(calls)
    patch.restore_host()
    want = compute_seeded_run(lambda: patch.run_small_model(experts))
    assert calls == made
    patch.apply()
    calls.clear()
    errors = [float(abs(got[0] - want[0]) / want[0])]
    errors += [float((a - b).abs().max() / b.abs().max().clamp(min=1e-6)) for a, b in zip(got[1], want[1])]
    found[experts] = [errors, modules, made]
print("FOUND" + json.dumps(found))
"""


@pytest.fixture(autouse=True)
def host_left_as_found():
    originals = [(place.owner, place.name, vars(place.owner)[place.name]) for place in liger_qwen3_vl.places()]
    yield
    liger_qwen3_vl.restore_host()
    for owner, name, original in originals:
        assert vars(owner)[name] is original


@pytest.fixture
def possible(monkeypatch):
    """As if there were a GPU; nothing is computed with Liger in this process, for tensors are on the CPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


def test_same_loss_and_gradients_as_transformers():
    env = os.environ | {"TRITON_INTERPRET": "1"}
    done = subprocess.run([sys.executable, "-c", INTERPRETED], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("FOUND")]
    for experts, (errors, modules, calls) in json.loads(line[5:]).items():
        assert errors[0] <= 1e-5 and max(errors[1:]) <= 1e-4, (experts, errors)
        both = {"RMSNorm": 9, "RoPE": 2, "vision LayerNorm": 6, "vision RoPE": 2}
        dense = experts == "0"
        assert modules == both | ({"SwiGLU": 2} if dense else {})
        assert calls["LigerRMSNormFunction"] == 9 and calls["LigerLayerNormFunction"] == 6
        assert calls.get("LigerSiLUMulFunction", 0) == (2 if dense else 0)


def test_without_a_gpu_it_is_not_needed_and_on_is_refused(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert catalog.apply_patch("liger_qwen3_vl", "auto", accelerator=False).state == "not needed"
    assert catalog.apply_patch("liger_qwen3_vl", "auto", accelerator=True).state == "not needed"
    with pytest.raises(PatchRefused, match=r"need CUDA.*patches: \{liger_qwen3_vl: off\}"):
        catalog.apply_patch("liger_qwen3_vl", "on", accelerator=False)


def test_without_liger(possible, monkeypatch):
    monkeypatch.setattr(liger_qwen3_vl.importlib.util, "find_spec", lambda name: None)
    assert liger_qwen3_vl.apply() == "not needed: liger-kernel is not installed; install the extra gpu"


def test_twice_is_once_and_tensors_on_the_cpu_stay_the_hosts(possible):
    before = [vars(place.owner)[place.name] for place in liger_qwen3_vl.places()]
    assert liger_qwen3_vl.apply() == liger_qwen3_vl.apply()
    for place, original in zip(liger_qwen3_vl.places(), before, strict=True):
        assert vars(place.owner)[place.name].__wrapped__ is original
    vision = liger_qwen3_vl.make_small_model().model.visual
    assert type(vision.merger.norm) is type(vision.blocks[0].norm1) is liger_qwen3_vl.LayerNorm
    out = vision(torch.randn(16, 96), torch.tensor([[1, 4, 4]]))  # another patch's certificate may do so
    liger_qwen3_vl.restore_host()
    assert out.pooler_output.isfinite().all()


def test_a_kernel_that_fails_puts_the_host_back(possible, monkeypatch):
    liger_qwen3_vl.apply()
    runs = iter([lambda: (torch.ones((), requires_grad=True),) * 2, lambda: 1 / 0])
    monkeypatch.setattr(liger_qwen3_vl, "run_small_model", lambda: next(runs)())
    monkeypatch.setattr(liger_qwen3_vl, "_own_gpu", contextlib.nullcontext)
    monkeypatch.setattr("mindgpt_patches.certificate.compute_seeded_run", lambda run: run())
    with pytest.raises(PatchRefused, match="a kernel of Liger fails here: ZeroDivisionError"):
        liger_qwen3_vl.certify()
    assert not any(hasattr(vars(p.owner)[p.name], "__mindgpt_patch__") for p in liger_qwen3_vl.places())


def test_a_model_in_which_nothing_is_replaced(possible):
    applied = [PatchOutcome("liger_qwen3_vl", "applied", "liger-kernel 0.8.5"), PatchOutcome("other", "applied", "x")]
    liger_qwen3_vl.apply()
    counted, other = catalog.confirm_outcomes(applied, {}, liger_qwen3_vl.make_small_model())
    assert counted.reason.startswith("liger-kernel 0.8.5; 9 RMSNorm, 2 RoPE, 2 SwiGLU, 6 vision LayerNorm")
    assert other == applied[1]
    outcome, _ = catalog.confirm_outcomes(applied, {}, torch.nn.Linear(2, 2))
    assert outcome.state == "refused" and "nothing would be replaced" in outcome.reason
    with pytest.raises(PatchRefused, match="liger_qwen3_vl: off"):
        catalog.confirm_outcomes(applied, {"liger_qwen3_vl": "on"}, torch.nn.Linear(2, 2))


def test_another_packages_forward_is_refused(possible):
    model = liger_qwen3_vl.make_small_model()
    model.model.language_model.norm.forward = lambda x: x
    with pytest.raises(PatchRefused, match="replaced the forward of model.language_model.norm"):
        liger_qwen3_vl.replaced(model)
