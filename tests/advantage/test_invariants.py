"""What the default advantage promises, on 10,000 random groups with any modulators that a recipe may have."""

import itertools
import random

import pytest
import torch

from mindgpt_plugins.advantage.core import compute_modulated_advantage
from mindgpt_plugins.rewards.sdk import Group, RewardError, Rollout
from mindgpt_plugins.rewards.suite import RewardConfig, Suite

pytestmark = pytest.mark.filterwarnings("ignore:groups of")
COUNT = 10_000
SIZES = (2, 5, 8, 16)


def modulated_groups(n: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Right/wrong scores r and g = r·(1 − Σ w·u + Σ w·u): penalties' weights sum below 1, bonuses' are any."""

    def rand(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, dtype=torch.float64, generator=generator)

    r = (rand(COUNT, n) < rand(COUNT, 1)).double()
    penalties = torch.nn.functional.normalize(rand(COUNT, 3), p=1, dim=1) * rand(COUNT, 1) * 0.999
    bonuses = rand(COUNT, 2) * 10 ** (2 * rand(COUNT, 2) - 1)  # up to 10
    # Many u at their ends, where a penalty bites most.
    u = (2 * rand(COUNT, n, 5) - 0.5).clamp(0, 1)
    factor = 1 - (u[..., :3] * penalties[:, None]).sum(-1) + (u[..., 3:] * bonuses[:, None]).sum(-1)
    return r, r * factor


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("k", [1, 2, 4])
def test_order_and_sign(n: int, k: int):
    k = min(k, n)
    generator = torch.Generator().manual_seed(n * 10 + k)
    r, g = modulated_groups(n, generator)
    # λ = 1 alone may tie: with fewer than k wrong replies every k-subset holds a right one.
    lam = 0.99 * torch.rand(COUNT, dtype=torch.float64, generator=generator)
    advantage = compute_modulated_advantage(g, k=k, lam=lam)
    right = r == 1
    lowest = advantage.masked_fill(~right, torch.inf).amin(1)
    highest = advantage.masked_fill(right, -torch.inf).amax(1)
    mixed = right.any(1) & ~right.all(1)
    assert int(mixed.sum()) > COUNT / 4
    assert not (lowest <= highest)[mixed].any(), "a wrong reply reached a right one"
    assert bool((highest[mixed] < 0).all()), "a wrong reply was pushed up"
    assert bool((advantage.amax(1)[mixed] > 0).all()), "no reply was pushed up"
    assert not advantage[~right.any(1)].any(), "an all-wrong group was pushed"
    assert float(advantage.sum(1).abs().max()) < 1e-9
    # A better score never gets less: pairs sorted by g have sorted advantages.
    ranked = advantage.gather(1, g.argsort(1))
    assert float(ranked.diff(dim=1).amin()) > -1e-9
    # |A| is bounded by how much the group's scores differ.
    spread = g.amax(1) - g.amin(1)
    assert bool((advantage.abs().amax(1) <= ((1 - lam) + lam * k) * spread + 1e-12).all())


@pytest.mark.parametrize("n", SIZES)
def test_without_modulators_right_is_up_and_wrong_is_down(n: int):
    generator = torch.Generator().manual_seed(n)
    r, _ = modulated_groups(n, generator)
    advantage = compute_modulated_advantage(r, k=min(4, n), lam=0.9)
    mixed = (r.mean(1) > 0) & (r.mean(1) < 1)
    assert bool((advantage[mixed] * (2 * r[mixed] - 1) > 0).all())
    assert float(advantage[~mixed].abs().max()) < 1e-12


@pytest.mark.parametrize(("n", "k", "lam"), [(5, 2, 1.0), (5, 3, 0.4), (4, 1, 0.5), (3, 3, 0.5)])
def test_the_expected_update_is_the_objectives_gradient(n: int, k: int, lam: float):
    """Exactly, over all groups that a policy of three replies can draw; centring costs (1−1/n) and (1−k/n)."""
    scores = torch.tensor([0.0, 0.7, 1.0], dtype=torch.float64)
    logits = torch.tensor([0.3, -0.2, -1.1], dtype=torch.float64, requires_grad=True)

    def drawn(size: int) -> tuple[torch.Tensor, torch.Tensor]:
        groups = torch.tensor(list(itertools.product(range(3), repeat=size)))
        return groups, logits.softmax(0)[groups].prod(1)

    def gradient(of: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(of, logits)[0]

    groups, chance = drawn(n)
    advantage = compute_modulated_advantage(scores[groups], k=k, lam=lam)
    update = gradient((chance.detach() * (advantage * logits.log_softmax(0)[groups]).mean(1)).sum())
    subsets, share = drawn(k)
    best = gradient((share * scores[subsets].amax(1)).sum())
    mean = gradient((logits.softmax(0) * scores).sum())
    assert torch.allclose(update, (1 - lam) * (1 - 1 / n) * mean + lam * (1 - k / n) * best, atol=1e-12)


@pytest.mark.parametrize("k", [1, 4, 8])
def test_continuous_as_the_last_wrong_reply_turns_right(k: int):
    _, g = modulated_groups(8, torch.Generator().manual_seed(k))
    g = g.masked_fill(g == 0, 1.0)[:500]  # all right but for the last
    path = torch.linspace(0, 1.2, 241, dtype=torch.float64)
    steps = [compute_modulated_advantage(torch.cat([g[:, :7], t.expand(500, 1)], 1), k=k, lam=0.5) for t in path]
    jumps = torch.stack(steps).diff(dim=0).abs().amax()
    assert float(jumps) <= (0.5 + 0.5 * k) * 0.005 + 1e-12


def test_a_suite_allows_no_stronger_modulators():
    def suite(**weights: float) -> Suite:
        return Suite({"accuracy": RewardConfig()} | {n: RewardConfig(weight=w) for n, w in weights.items()})

    with pytest.raises(RewardError, match="keep their sum below 1"):
        suite(conciseness=0.6, repetition=0.4)
    rng = random.Random(3)
    for _ in range(150):
        share = rng.random() * 0.999
        first = share * rng.random()
        own = suite(conciseness=first, repetition=share - first, diversity=rng.random() * 5)
        scores = [float(rng.random() < 0.5) for _ in range(8)]
        replies = [
            Rollout(" ".join(rng.choices("abc", k=rng.randint(1, 30))), "a", length=rng.randint(1, 2000))
            for _ in scores
        ]
        (found,) = own.score_groups([Group(replies, scores)])
        rows = [
            {"repetition": rng.random(), **{name: values[i] for name, values in found.components.items()}}
            for i in range(len(replies))
        ]
        g = torch.from_numpy(own.combine(rows, scores, 0.0).modulated)
        advantage = compute_modulated_advantage(g.unsqueeze(0), lam=0.5)[0].tolist()
        right = [a for a, s in zip(advantage, scores, strict=True) if s]
        wrong = [a for a, s in zip(advantage, scores, strict=True) if not s]
        assert not right or not wrong or min(right) > max(wrong)
