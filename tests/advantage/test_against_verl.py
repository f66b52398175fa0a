"""Our forms of verl's advantages, against verl's own functions on the same inputs. Imports verl (ten seconds)."""

import numpy as np
import pytest
import torch

core_algos = pytest.importorskip("verl.trainer.ppo.core_algos")

from mindgpt_plugins.advantage.components import compute_gdpo_advantage, compute_reward_sum_advantage  # noqa: E402
from mindgpt_plugins.advantage.core import (  # noqa: E402
    compute_best_minus_second_advantage,
    compute_grpo_advantage,
    compute_modulated_advantage,
)

PROMPT, LONGEST = 2, 6


class Batch:
    """Ragged groups as verl holds them: flat, right-padded token tensors."""

    def __init__(self, seed: int):
        generator = torch.Generator().manual_seed(seed)
        sizes = torch.randint(2, 9, (20,), generator=generator)
        self.mask = torch.arange(int(sizes.max())) < sizes[:, None]
        self.index = np.repeat(np.arange(20), sizes.numpy())
        self.scores = torch.rand(self.mask.shape, generator=generator, dtype=torch.float64) * self.mask
        self.scores[0] = self.mask[0].double()  # a group in which nothing differs
        self.tokens = torch.randint(1, LONGEST + 1, self.mask.shape, generator=generator).double() * self.mask
        self.response_mask = (torch.arange(LONGEST) < self.tokens[self.mask][:, None]).float()

    def rewards(self, scores: torch.Tensor) -> torch.Tensor:
        rewards = torch.zeros_like(self.response_mask)
        last = self.tokens[self.mask].long() - 1
        rewards[torch.arange(len(last)), last] = scores[self.mask].float()
        return rewards

    def check(self, theirs: torch.Tensor, ours: torch.Tensor) -> None:
        # verl writes a reply's advantage on each of its tokens, in float32.
        assert torch.allclose(theirs, (ours[self.mask][:, None] * self.response_mask).float(), atol=2e-5)


@pytest.fixture(params=range(3))
def batch(request) -> Batch:
    return Batch(request.param)


@pytest.mark.parametrize("by_std", [True, False])
def test_grpo(batch: Batch, by_std: bool):
    theirs, _ = core_algos.compute_grpo_outcome_advantage(
        batch.rewards(batch.scores), batch.response_mask, batch.index, norm_adv_by_std_in_grpo=by_std
    )
    batch.check(theirs, compute_grpo_advantage(batch.scores, batch.mask, norm_by_std=by_std))
    if not by_std:
        batch.check(theirs, compute_modulated_advantage(batch.scores, lam=0.0, mask=batch.mask))
    else:
        batch.check(theirs, compute_modulated_advantage(batch.scores, lam=0.0, mask=batch.mask, normalise="group_std"))


@pytest.mark.parametrize("by_std", [True, False])
def test_grpo_passk(batch: Batch, by_std: bool):
    theirs, _ = core_algos.compute_grpo_passk_outcome_advantage(
        batch.rewards(batch.scores), batch.response_mask, batch.index, config={"norm_adv_by_std_in_grpo": by_std}
    )
    batch.check(theirs, compute_best_minus_second_advantage(batch.scores, batch.mask, norm_by_std=by_std))


@pytest.mark.parametrize("by_std", [True, False])
def test_gdpo(batch: Batch, by_std: bool):
    components = {"accuracy": (batch.scores > 0.5).double(), "format": batch.scores**2, "length": 1 - batch.scores}
    weights = {"accuracy": 1.0, "format": 0.5, "length": -0.25}
    theirs, _ = core_algos.compute_gdpo_outcome_advantage(
        batch.rewards(batch.scores),
        batch.response_mask,
        batch.index,
        norm_adv_by_std_in_grpo=by_std,
        config={"gdpo_reward_keys": list(components), "gdpo_reward_weights": list(weights.values())},
        non_tensor_batch={name: values[batch.mask].numpy() for name, values in components.items()},
        batch={
            "prompts": torch.zeros(len(batch.index), PROMPT),
            "attention_mask": torch.cat([torch.ones(len(batch.index), PROMPT), batch.response_mask], 1).long(),
        },
    )
    batch.check(
        theirs, compute_gdpo_advantage(components, weights, batch.mask, tokens=batch.tokens, norm_by_std=by_std)
    )


def test_reward_sum_is_what_verl_does_with_a_summed_reward(batch: Batch):
    components = {"a": batch.scores, "b": batch.scores**2}
    total = 1.0 * batch.scores - 0.5 * batch.scores**2
    theirs, _ = core_algos.compute_grpo_outcome_advantage(batch.rewards(total), batch.response_mask, batch.index)
    batch.check(theirs, compute_reward_sum_advantage(components, {"a": 1.0, "b": -0.5}, batch.mask))
