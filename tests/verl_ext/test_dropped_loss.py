"""A dropped group in verl's own loss: gone from the gradient and from every denominator."""

import pytest
import torch

agg_loss = pytest.importorskip("verl.trainer.ppo.core_algos").agg_loss

LENGTHS = [5, 2, 4, 3, 6, 1]
DROPPED = [False, False, True, True, False, False]
PROMPT_ROWS = 6


def gradient(rows: list[int], dropped: list[bool], mode: str) -> torch.Tensor:
    """Of a loss Σ A·θ over ``rows``, as the engine computes it: masks from rows, denominators from the batch."""
    theta = torch.linspace(-1, 1, 6).repeat(len(LENGTHS), 1).requires_grad_()
    advantage = torch.tensor([1.0, -1.0, 2.0, -2.0, 0.5, -0.5])
    mask = torch.tensor([[t < LENGTHS[i] and not dropped[i] for t in range(6)] for i in rows]).float()
    loss = agg_loss(
        loss_mat=theta[rows] * advantage[rows, None],
        loss_mask=mask,
        loss_agg_mode=mode,
        batch_num_tokens=int(mask.sum()),  # the engine sums loss_mask, which we set like response_mask
        global_batch_size=PROMPT_ROWS,  # verl: prompts × n, whatever the rows hold
    )
    loss.backward()
    assert theta.grad is not None
    return theta.grad


@pytest.mark.parametrize(
    "mode", ["token-mean", "token-sum", "seq-mean-token-sum", "seq-mean-token-mean", "seq-mean-token-sum-norm"]
)
def test_a_dropped_group_equals_a_group_that_is_not_there(mode: str):
    kept = [i for i, gone in enumerate(DROPPED) if not gone]
    masked = gradient(list(range(6)), DROPPED, mode)
    absent = gradient(kept, [False] * 6, mode)
    assert torch.equal(masked[2:4], torch.zeros(2, 6))
    assert torch.allclose(masked, absent, atol=1e-7)


def test_only_the_token_mean_moves_with_the_number_of_tokens():
    whole = gradient(list(range(6)), [False] * 6, "token-mean")
    dropped = gradient(list(range(6)), DROPPED, "token-mean")
    assert torch.allclose(dropped[0], whole[0] * sum(LENGTHS) / (sum(LENGTHS) - 7))
    whole, dropped = (gradient(list(range(6)), d, "seq-mean-token-mean") for d in ([False] * 6, DROPPED))
    assert torch.equal(dropped[0], whole[0])
