"""The Triton path of the linear loss: in Triton's interpreter it gives torch's numbers, and it compiles for a GPU."""

import json
import os
import subprocess
import sys
import types

import pytest
import torch
from mindgpt_patches import row_softmax

HEAD = """
import json, sys, torch
from mindgpt_patches import row_softmax
from mindgpt_patches.linear_cross_entropy import compute_linear_cross_entropy, compute_linear_log_probs

def worst(a, b):
    return float((a.float() - b.float()).abs().max() / b.float().abs().max().clamp(min=1e-6))
"""

KERNEL = """
from mindgpt_patches import triton_softmax
found = {}
for words in (1, 127, 128, 1000, 5003):
    for dtype in (torch.float32, torch.bfloat16):
        triton_softmax.BLOCK = 256 if words == 1000 else 4096
        torch.manual_seed(words)
        logits = (torch.randn(4, words) * 3).to(dtype)
        logits[0] *= 1000  # one row with large logits
        logits[2, : words // 2] = float("-inf")
        targets = torch.tensor([0, words // 2, words - 1, words - 1])
        bias = torch.randn(words)
        up, slope = torch.tensor([1.0, -0.5, 0.0, 2.0]), torch.tensor([0.3, 0.0, 1.0, -1.0])
        for case, options in {
            "cross_entropy": {"up": up},
            "bias": {"up": up, "bias": bias},
            "log_probs": {"temperature": 0.7},
            "entropy": {"temperature": 0.7, "entropy": True, "bias": bias},
            "both": {"temperature": 1.3, "up": up, "slope": slope, "entropy": True},
        }.items():
            entropy = options.get("entropy")
            keep = [0, 1, 3] if entropy else [0, 1, 2, 3]  # torch's entropy of a row with -inf is nan
            options = {k: v[keep] if k in ("up", "slope") else v for k, v in options.items()}
            wide, narrow = logits[keep].float(), logits[keep].clone()
            want = row_softmax.compute_row_scores(wide, targets[keep], **options)
            got = triton_softmax.compute_triton_scores(narrow, targets[keep], **options)
            errors = [worst(got[0], want[0])]
            if entropy:
                errors.append(worst(got[1], want[1]))
            if "up" in options:
                errors.append(worst(narrow, wide.to(dtype)))
            found[f"{words} {dtype} {case}"] = errors
print("FOUND" + json.dumps(found))
"""

WHOLE = """
found = {}
for dtype in (torch.float32, torch.bfloat16):
    torch.manual_seed(0)
    hidden, weight, bias = torch.randn(3, 11, 16), torch.randn(1000, 16), torch.randn(1000)
    labels, weights = torch.randint(0, 1000, (3, 11)), torch.rand(3, 11)
    labels[0, ::2] = labels[1] = -100
    weights[2, :4] = 0

    def run(triton, function):
        tensors = [t.to(dtype).requires_grad_() for t in (hidden, weight, bias)]
        values = function(*tensors, dict(chunk_bytes=40_000, triton=triton))
        mixed = sum((v * torch.linspace(0.5, 2, v.numel()).view(v.shape)).sum() for v in values)
        return [*values, *torch.autograd.grad(mixed, tensors)]

    def loss(h, w, b, options):
        return [compute_linear_cross_entropy(h, w, labels, token_weights=weights, bias=b, **options).loss]

    def log_probs(h, w, b, options):
        return [compute_linear_log_probs(h, w, labels, bias=b, temperature=0.8, **options)[0]]

    def entropy(h, w, b, options):
        return list(compute_linear_log_probs(h, w, labels, bias=b, temperature=0.8, return_entropy=True, **options))

    for function in (loss, log_probs, entropy):
        pairs = zip(run(True, function), run(False, function))
        found[f"{dtype} {function.__name__}"] = [worst(a, b) for a, b in pairs]
nothing = compute_linear_cross_entropy(hidden, weight, torch.full((3, 11), -100), triton=True)
assert nothing.loss == 0
print("FOUND" + json.dumps(found))
"""

COMPILE = """
import triton, triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from mindgpt_patches.triton_softmax import _rows
pointers = {"logits": "*bf16", "targets": "*i64", "bias": "*fp32", "up": "*fp32", "slope": "*fp32", "found": "*fp32"}
for absent in (("bias", "slope", "own"), ("up", "slope", "bias"), ("own",)):
    types = pointers | {"own": "*fp32", "stride": "i32", "words": "i32", "temperature": "fp32", "BLOCK": "constexpr"}
    types |= dict.fromkeys(absent, "constexpr")
    constants = {(_rows.arg_names.index(name),): None for name in absent}
    constants[(_rows.arg_names.index("BLOCK"),)] = 4096
    source = ASTSource(_rows, {name: types[name] for name in _rows.arg_names}, constants)
    made = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": 8})
    assert ".target sm_90" in made.asm["ptx"]
print("FOUND" + json.dumps("compiled"))
"""


def child(code, **env):
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("TRITON_", "MINDGPT_TRITON"))}
    done = subprocess.run([sys.executable, "-c", HEAD + code], env=plain | env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("FOUND")]
    return json.loads(line[5:])


def test_the_kernel_gives_torchs_numbers():
    found = child(KERNEL, TRITON_INTERPRET="1")
    assert len(found) == 50
    for case, errors in found.items():  # gradients of 16-bit logits are rounded on both sides
        rounded = "bfloat16" in case and case.split()[-1] in ("cross_entropy", "bias", "both")
        bounds = [1e-5] * (len(errors) - 1) + [5e-3 if rounded else 1e-5]
        assert all(error <= bound for error, bound in zip(errors, bounds, strict=True)), (case, errors)


def test_loss_and_log_probs_through_it():
    for case, errors in child(WHOLE, TRITON_INTERPRET="1").items():
        assert max(errors) < (1e-2 if "bfloat16" in case else 1e-5), (case, errors)


def test_it_compiles_for_an_h200(tmp_path):
    assert child(COMPILE, TRITON_CACHE_DIR=str(tmp_path)) == "compiled"


@pytest.fixture
def kernel(monkeypatch):
    """Set what stands for the kernel's module, and forget what was found about it."""
    fault = row_softmax.find_kernel_fault

    def use(function):
        module = types.SimpleNamespace(compute_triton_scores=function)
        monkeypatch.setattr(row_softmax.importlib, "import_module", {"mindgpt_patches.triton_softmax": module}.get)
        fault.cache_clear()

    monkeypatch.delenv("MINDGPT_TRITON", raising=False)
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(row_softmax.importlib.util, "find_spec", lambda name: object())
    yield use
    fault.cache_clear()


CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_when_it_is_chosen(kernel, monkeypatch):
    kernel("the kernel")
    monkeypatch.setattr(row_softmax, "find_kernel_fault", lambda device, dtype: "")
    assert row_softmax.choose_row_softmax(None, CUDA, torch.bfloat16) == ("the kernel", True)
    reference = (row_softmax.compute_row_scores, False)
    assert row_softmax.choose_row_softmax(False, CUDA, torch.bfloat16) == reference
    assert row_softmax.choose_row_softmax(None, CUDA, torch.float64) == reference
    assert row_softmax.choose_row_softmax(None, CPU, torch.float32) == reference
    with pytest.raises(ValueError, match="tensors are on cpu"):
        row_softmax.choose_row_softmax(True, CPU, torch.float32)
    monkeypatch.setenv("MINDGPT_TRITON", "0")
    assert row_softmax.choose_row_softmax(None, CUDA, torch.bfloat16) == reference
    monkeypatch.setattr(row_softmax.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="triton is not installed"):
        row_softmax.choose_row_softmax(True, CUDA, torch.float32)


def test_a_kernel_at_fault_is_not_used(kernel, monkeypatch):
    monkeypatch.setattr(row_softmax, "find_kernel_fault", lambda device, dtype: "no compiler")
    with pytest.warns(RuntimeWarning, match="uses torch, not Triton: no compiler"):
        assert row_softmax.choose_row_softmax(None, CUDA, torch.bfloat16) == (row_softmax.compute_row_scores, False)
    with pytest.raises(ValueError, match="cannot run here: no compiler"):
        row_softmax.choose_row_softmax(True, CUDA, torch.bfloat16)


def test_faults_are_found(kernel):
    kernel(row_softmax.compute_row_scores)
    assert row_softmax.find_kernel_fault(CPU, torch.float32) == ""
    assert "numbers are not torch's" in row_softmax.find_kernel_fault(
        CPU, torch.bfloat16
    )  # torch itself, all in 16 bits

    def half(logits, targets, **options):
        found = row_softmax.compute_row_scores(logits, targets, **options)
        logits.mul_(0.5)
        return found

    kernel(half)
    assert "numbers are not torch's" in row_softmax.find_kernel_fault(CPU, torch.float32)
    kernel(None)
    assert row_softmax.find_kernel_fault(CPU, torch.float32).startswith("TypeError")
