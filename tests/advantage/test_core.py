import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgpt_plugins.advantage.core import (
    compute_grpo_advantage,
    compute_modulated_advantage,
    compute_pass_at_k_advantage,
)

pytestmark = pytest.mark.filterwarnings("ignore:groups of")
SETTINGS = settings(max_examples=150, deadline=None)


def brute_force(group: list[float], k: int) -> list[float]:
    """k·(Q − mean Q) with Q over every k-subset."""
    subsets = list(itertools.combinations(range(len(group)), k))
    best = [max(group[i] for i in subset) for subset in subsets]
    q = []
    for i in range(len(group)):
        own = [value for subset, value in zip(subsets, best, strict=True) if i in subset]
        q.append(sum(own) / len(own))
    return [k * (value - sum(q) / len(q)) for value in q]


def groups(min_size: int = 1, max_size: int = 9):
    return st.lists(st.floats(-1, 2, allow_nan=False, width=32), min_size=min_size, max_size=max_size)


def right_wrong(size: int = 8):
    return st.lists(st.sampled_from([0.0, 1.0]), min_size=size, max_size=size)


@SETTINGS
@given(groups(), st.integers(1, 9))
def test_pass_at_k_equals_brute_force(group: list[float], k: int):
    k = min(k, len(group))
    got = compute_pass_at_k_advantage(torch.tensor([group], dtype=torch.float64), k)[0]
    assert torch.allclose(got, torch.tensor(brute_force(group, k), dtype=torch.float64), rtol=0, atol=1e-9)


def test_spread_between_right_and_wrong_by_number_correct():
    rows = torch.tensor([[1.0] * c + [0.0] * (8 - c) for c in range(1, 8)])
    advantage = compute_modulated_advantage(rows, k=4, lam=0.5)
    spread = (advantage[:, 0] - advantage[:, -1]).tolist()
    assert [round(s, 3) for s in spread] == [1.643, 1.071, 0.729, 0.557, 0.5, 0.5, 0.5]


@SETTINGS
@given(
    right_wrong(), st.lists(st.floats(0, 0.39), min_size=8, max_size=8), st.floats(0, 1), st.sampled_from([1, 2, 4, 8])
)
def test_every_correct_reply_beats_every_wrong_one(group: list[float], modulation: list[float], lam: float, k: int):
    g = [r * (1 - 0.39 + m) for r, m in zip(group, modulation, strict=True)]
    advantage = compute_modulated_advantage(torch.tensor([g]), k=k, lam=lam)[0].tolist()
    right = [a for a, r in zip(advantage, group, strict=True) if r]
    wrong = [a for a, r in zip(advantage, group, strict=True) if not r]
    # λ = 1 with k above the number of wrong ones: every subset of k holds a right one, and all are equal.
    if right and wrong and (lam < 0.999 or k <= len(wrong)):
        assert min(right) > max(wrong)


@SETTINGS
@given(st.floats(-1, 1, width=32), st.integers(1, 9), st.floats(0, 1), st.integers(1, 9))
def test_equal_scores_give_zero(score: float, size: int, lam: float, k: int):
    advantage = compute_modulated_advantage(torch.full((1, size), score), k=min(k, size), lam=lam)
    assert float(advantage.abs().max()) < 1e-12


@SETTINGS
@given(groups(2), st.randoms(use_true_random=False), st.floats(0, 1))
def test_permuting_replies_permutes_advantages(group: list[float], random, lam: float):
    order = list(range(len(group)))
    random.shuffle(order)
    plain = compute_modulated_advantage(torch.tensor([group]), k=2, lam=lam)[0]
    moved = compute_modulated_advantage(torch.tensor([[group[i] for i in order]]), k=2, lam=lam)[0]
    assert torch.allclose(moved, plain[order], atol=1e-12)


@SETTINGS
@given(groups(2), st.sampled_from([1, 2, 4]))
def test_advantages_sum_to_zero_in_a_group(group: list[float], k: int):
    k = min(k, len(group))
    assert abs(float(compute_modulated_advantage(torch.tensor([group]), k=k, lam=0.3).sum())) < 1e-9


@given(st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=6), min_size=1, max_size=5))
@SETTINGS
def test_ragged_groups_equal_separate_ones(ragged: list[list[float]]):
    width = max(map(len, ragged))
    scores = torch.tensor([row + [float("nan")] * (width - len(row)) for row in ragged])
    mask = ~scores.isnan()
    with pytest.warns() if any(1 < len(row) < 3 for row in ragged) else _quiet():
        together = compute_modulated_advantage(scores, k=3, lam=0.5, mask=mask)
    for row, got in zip(ragged, together, strict=True):
        alone = compute_modulated_advantage(torch.tensor([row]), k=min(3, len(row)), lam=0.5)[0]
        assert torch.allclose(got[: len(row)], alone, atol=1e-12)
        assert not got[len(row) :].any()


def test_continuous_as_the_last_wrong_reply_turns_right():
    almost, done = torch.tensor([[1.0] * 7 + [1 - 1e-9]]), torch.ones(1, 8)
    assert torch.allclose(compute_modulated_advantage(almost), compute_modulated_advantage(done), atol=1e-8)


def test_all_correct_groups_stay_within_the_modulators():
    g = torch.tensor([[1.0, 0.8, 1.2, 1.0, 0.9, 1.1, 1.0, 1.0]])
    assert float(compute_modulated_advantage(g, k=4, lam=0.5).abs().max()) <= 0.4


def test_lambda_zero_is_centred_scores():
    g = torch.tensor([[1.0, 0.0, 0.25, 0.5]])
    assert torch.equal(compute_modulated_advantage(g, lam=0.0), compute_grpo_advantage(g, norm_by_std=False))


def test_a_group_of_one_gets_zero():
    one = torch.tensor([[1.0]])
    for advantage in (
        compute_modulated_advantage(one, k=1),
        compute_grpo_advantage(one),
        compute_pass_at_k_advantage(one, 1),
    ):
        assert advantage.tolist() == [[0.0]]


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="NaN or infinity"):
        compute_modulated_advantage(torch.tensor([[1.0, float("nan")]]))
    with pytest.raises(ValueError, match=r"shape \(groups, n\)"):
        compute_pass_at_k_advantage(torch.ones(3), 2)
    with pytest.raises(ValueError, match=r"lambda must lie in \[0, 1\], got 2"):
        compute_modulated_advantage(torch.ones(1, 2), lam=2)
    with pytest.raises(ValueError, match="k must be at least 1"):
        compute_pass_at_k_advantage(torch.ones(1, 2), 0)
    with pytest.raises(ValueError, match="they must agree"):
        compute_grpo_advantage(torch.ones(1, 2), torch.ones(1, 3))


class _quiet:
    def __enter__(self):
        return None

    def __exit__(self, *_):
        return False
