"""What verl computes and composes, against ours. Imports verl (ten seconds)."""

import numpy as np
import pytest
import torch

pytest.importorskip("transfer_queue")
core_algos = pytest.importorskip("verl.trainer.ppo.core_algos")

from mindgpt_plugins.advantage.core import compute_grpo_advantage, compute_modulated_advantage  # noqa: E402


def verl_grpo(scores: torch.Tensor, by_std: bool) -> torch.Tensor:
    groups, n = scores.shape
    rewards = torch.zeros(groups * n, 3)
    rewards[:, -1] = scores.flatten()
    index = np.repeat(np.arange(groups), n)
    mask = torch.ones_like(rewards)
    got, _ = core_algos.compute_grpo_outcome_advantage(rewards, mask, index, norm_adv_by_std_in_grpo=by_std)
    return got[:, 0].reshape(groups, n)


def test_lambda_zero_is_verls_grpo_without_std():
    scores = torch.rand(20, 8)
    ours = compute_modulated_advantage(scores, lam=0.0)
    assert torch.allclose(ours.float(), verl_grpo(scores, by_std=False), atol=1e-6)


def test_our_grpo_is_verls():
    scores = torch.rand(20, 8)
    assert torch.allclose(compute_grpo_advantage(scores).float(), verl_grpo(scores, by_std=True), atol=1e-5)


def test_the_equal_length_batch_crash_and_its_patch():
    from mindgpt_patches import verl_equal_length
    from tensordict import TensorDict
    from verl.utils import tensordict_utils as tu

    def batch(lengths: list[int]) -> TensorDict:
        rows = [torch.arange(4 * n).reshape(4, n) for n in lengths]
        nested = (
            torch.nested.as_nested_tensor(rows, layout=torch.jagged)
            if len(set(lengths)) == 1
            else (tu.nested_tensor_from_tensor_list(rows, ragged_idx=2))
        )
        return TensorDict({"position_ids": nested}, batch_size=len(lengths))

    original = tu.maybe_fix_3d_position_ids
    try:
        assert verl_equal_length.apply() == "applied"
        assert verl_equal_length.apply() == "applied"
        for lengths in ([5, 5, 5], [5, 7], [6]):
            data = batch(lengths)
            tu.maybe_fix_3d_position_ids(data)
            parts = data["position_ids"].unbind()
            assert [tuple(p.shape) for p in parts] == [(4, n) for n in lengths]
            assert parts[-1].tolist() == torch.arange(4 * lengths[-1]).reshape(4, -1).tolist()
    finally:
        tu.maybe_fix_3d_position_ids = original


@pytest.mark.parametrize("cpu", [True, False])
def test_what_the_stage_renders_composes_with_verls_own_configuration(cpu: bool, tmp_path):
    from hydra import compose, initialize_config_module

    from mindgpt_plugins.stages.base import Context
    from mindgpt_plugins.stages.rl.config import RLConfig
    from mindgpt_plugins.stages.rl.stage import RL

    config = RLConfig.model_validate(
        {"kind": "rl", "model": "m", "train": "d/rl_train", "steps": 4, "verl": {"trainer": {"test_freq": 2}}}
    )
    command = RL().render(config, Context(name="rl", folder=tmp_path, inputs={}, seed=3, cpu=cpu))[0]
    name, overrides = command.argv[5], list(command.argv[6:])
    with initialize_config_module("mindgpt_plugins.verl_ext.conf", version_base=None):
        got = compose(name, overrides=overrides)
    assert got.trainer.v1.trainer_mode == "mindgpt_sync"
    assert got.trainer.v1.mindgpt_sync.settings == str(tmp_path / "settings.json")
    assert got.actor_rollout_ref.rollout.name == ("hf_cpu" if cpu else "vllm")
    assert got.trainer.test_freq == 2
    assert got.algorithm.adv_estimator == "grpo"
