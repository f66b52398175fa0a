"""Our loss beside Liger's fused one, whose Triton kernel runs in Triton's interpreter."""

import json
import os
import subprocess
import sys

SCRIPT = """
import json, torch
from liger_kernel.transformers.functional import liger_fused_linear_cross_entropy
from mindgpt_patches.linear_cross_entropy import compute_linear_cross_entropy

torch.manual_seed(0)
found = {}
for reduction in ("sum", "none"):
    labels = torch.randint(0, 300, (40,))
    labels[::3] = -100
    base = torch.randn(40, 16), torch.randn(300, 16)
    ours, theirs = ([t.clone().requires_grad_() for t in base] for _ in "ab")
    weights = torch.rand(40) if reduction == "none" else torch.ones(40)
    one = compute_linear_cross_entropy(*ours, labels, token_weights=weights, chunk_bytes=20_000).loss
    other = (liger_fused_linear_cross_entropy(*theirs, labels, reduction=reduction) * (weights if reduction == "none" else 1)).sum()
    one.backward(); other.backward()
    found[reduction] = [abs(one.item() - other.item()) / abs(other.item())]
    found[reduction] += [float((a.grad - b.grad).abs().max() / b.grad.abs().max()) for a, b in zip(ours, theirs)]
print("FOUND" + json.dumps(found))
"""  # noqa: E501


def test_same_loss_and_gradients_as_liger():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=os.environ | {"TRITON_INTERPRET": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("FOUND")]
    found = json.loads(line[5:])
    assert all(error < 1e-5 for errors in found.values() for error in errors), found
