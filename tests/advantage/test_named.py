"""Named advantages: published numbers, brute force, and what they refuse."""

import itertools
import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgpt_plugins.advantage.components import compute_gdpo_advantage, compute_reward_sum_advantage
from mindgpt_plugins.advantage.core import (
    compute_analytic_pass_at_k_advantage,
    compute_best_minus_second_advantage,
    compute_grpo_advantage,
    compute_modulated_advantage,
    compute_pass_at_k_advantage,
)
from mindgpt_plugins.advantage.estimators import Groups, modulated
from mindgpt_plugins.core.registry import get_registered, list_registered_names

pytestmark = pytest.mark.filterwarnings("ignore:groups of")
SETTINGS = settings(max_examples=60, deadline=None)
NAN = float("nan")


def rows(*groups: list[float]) -> torch.Tensor:
    return torch.tensor(groups, dtype=torch.float64)


def ragged(min_size: int = 1, max_size: int = 12):
    """Up to four groups of different sizes."""
    scores = st.sampled_from([0.0, 1.0, -1.0, 0.3]) | st.floats(-1, 2, width=32)
    return st.lists(st.lists(scores, min_size=min_size, max_size=max_size), min_size=1, max_size=4)


def padded(groups: list[list[float]]) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(map(len, groups))
    scores = torch.tensor([row + [NAN] * (width - len(row)) for row in groups], dtype=torch.float64)
    return scores, ~scores.isnan()


@settings(max_examples=40, deadline=None)
@given(ragged(), st.integers(1, 12))
def test_pass_at_k_and_analytic_equal_brute_force_over_all_subsets(groups: list[list[float]], k: int):
    scores, mask = padded(groups)
    ours = compute_pass_at_k_advantage(scores, k, mask)
    analytic = compute_analytic_pass_at_k_advantage(scores, k, mask)
    for row, group in enumerate(groups):
        size = min(k, len(group))
        best = {s: max(group[i] for i in s) for s in itertools.combinations(range(len(group)), size)}
        mean, spread = statistics.fmean(best.values()), statistics.pstdev(best.values())
        for i in range(len(group)):
            q = statistics.fmean(value for subset, value in best.items() if i in subset)
            assert float(ours[row, i]) == pytest.approx(size * (q - mean), abs=1e-9)
            if spread > 1e-6:
                assert float(analytic[row, i]) == pytest.approx((q - mean) / spread, abs=1e-9 / spread)
        assert not ours[row, len(group) :].any() and not analytic[row, len(group) :].any()


# arXiv 2508.10751, n = 8: correct replies → (advantage of a right one, of a wrong one).
VECTORS = {
    4: {1: (1.000, -0.143), 2: (0.522, -0.174), 4: (0.120, -0.120), 5: (0, 0), 6: (0, 0), 7: (0, 0)},
    2: {1: (1.732, -0.247), 4: (0.522, -0.522), 6: (0.192, -0.577)},
}


@pytest.mark.parametrize(("k", "correct"), [(k, c) for k, table in VECTORS.items() for c in table])
def test_published_vectors_of_the_analytic_advantage(k: int, correct: int):
    got = compute_analytic_pass_at_k_advantage(rows([1.0] * correct + [0.0] * (8 - correct)), k)[0]
    assert (float(got[0]), float(got[-1])) == pytest.approx(VECTORS[k][correct], abs=5e-4)


def test_only_the_best_reply_of_grpo_passk_is_pushed():
    got = compute_best_minus_second_advantage(rows([0.2, 1.0, 0.5], [1.0, 1.0, 0.0]), norm_by_std=False)
    assert torch.allclose(got, rows([0.0, 0.5, 0.0], [0.0, 0.0, 0.0]))


def test_lambda_per_group():
    scores = rows([1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0])
    got = compute_modulated_advantage(scores, k=2, lam=torch.tensor([0.5, 0.0]))
    assert torch.equal(got[:1], compute_modulated_advantage(scores[:1], k=2, lam=0.5))
    assert torch.equal(got[1:], compute_modulated_advantage(scores[1:], k=2, lam=0.0))
    with pytest.raises(ValueError, match="one per group"):
        compute_modulated_advantage(scores, lam=torch.tensor([0.1, 0.2, 0.3]))
    with pytest.raises(ValueError, match="must lie in"):
        compute_modulated_advantage(scores, lam=torch.tensor([0.1, NAN]))


def test_adversarial_groups_are_not_explored():
    scores, mask = rows([1.0, 0.0, 0.0], [1.0, 0.0, 0.0]), torch.ones(2, 3, dtype=torch.bool)
    got = modulated(Groups(scores, scores, mask, adversarial=torch.tensor([True, False])), k=2, lam=1.0)
    assert torch.allclose(got[0], torch.tensor([2 / 3, -1 / 3, -1 / 3], dtype=torch.float64))
    assert torch.equal(got[1], compute_pass_at_k_advantage(scores, 2)[1])


COMPONENTS = {
    "accuracy": rows([1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]),
    "length": rows([0.5, 0.0, NAN, 0.1], [0.0, 0.2, 0.9, 0.3]),
}
WEIGHTS = {"accuracy": 1.0, "length": -0.5}


def test_reward_sum_is_grpo_on_the_sum():
    total = COMPONENTS["accuracy"] - 0.5 * COMPONENTS["length"].nan_to_num(0.0)
    assert torch.allclose(compute_reward_sum_advantage(COMPONENTS, WEIGHTS), compute_grpo_advantage(total))
    assert torch.allclose(
        compute_reward_sum_advantage(COMPONENTS, WEIGHTS, norm_by_std=False),
        compute_grpo_advantage(total, norm_by_std=False),
    )


def test_gdpo_by_hand():
    tokens = rows([3, 5, 7, 9], [1, 1, 1, 2])
    total = []
    for row in range(2):
        parts = [0.0] * 4
        for name, weight in WEIGHTS.items():
            values = COMPONENTS[name][row].tolist()
            known = [v for v in values if v == v]
            mean, spread = statistics.fmean(known), statistics.stdev(known)
            parts = [
                p + (weight * (v - mean) / (spread + 1e-6) if v == v else 0.0)
                for p, v in zip(parts, values, strict=True)
            ]
        total += parts
    every = [a for a, count in zip(total, tokens.flatten().long().tolist(), strict=True) for _ in range(count)]
    wanted = [(a - statistics.fmean(every)) / (statistics.variance(every) + 1e-8) ** 0.5 for a in total]
    assert compute_gdpo_advantage(COMPONENTS, WEIGHTS, tokens=tokens).flatten().tolist() == pytest.approx(wanted)
    assert torch.equal(
        compute_gdpo_advantage(COMPONENTS, WEIGHTS),
        compute_gdpo_advantage(COMPONENTS, WEIGHTS, tokens=torch.ones(2, 4)),
    )


def test_gdpo_lets_a_weak_component_beat_a_right_answer_and_ours_does_not():
    # The one right answer is a little longer; normalising the length alone blows that up to its full weight.
    right, long = rows([1.0, 1.0, 1.0, 1.0, 1.0, 0.0]), rows([0.1, 0.0, 0.0, 0.0, 0.0, 0.0])
    stock = compute_gdpo_advantage({"accuracy": right, "length": long}, {"accuracy": 1.0, "length": -1.0})[0]
    ours = compute_modulated_advantage(right * (1 - 0.2 * long), lam=0.0)[0]
    assert stock[0] < 0 < stock[1]
    assert ours[0] > 0 > ours[-1]


@pytest.mark.parametrize("name", sorted(list_registered_names("advantage")))
@SETTINGS
@given(groups=ragged(), order=st.randoms(use_true_random=False))
def test_every_named_advantage(name: str, groups: list[list[float]], order):
    """Finite, 0 where nothing is, and it moves with the replies and with the groups."""
    scores, mask = padded(groups)
    scores = scores.nan_to_num(0.0)
    row = torch.randperm(len(groups), generator=torch.Generator().manual_seed(order.randrange(99)))
    column = torch.randperm(scores.shape[1], generator=torch.Generator().manual_seed(order.randrange(99)))

    def run(scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        parts = {"a": scores, "b": scores**2}
        return get_registered("advantage", name)(Groups(scores, scores, mask, parts, {"a": 1.0, "b": -0.3}))

    got = run(scores, mask)
    assert got.dtype == torch.float64 and bool(got.isfinite().all()) and not got[~mask].any()
    moved = run(scores[row][:, column], mask[row][:, column])
    assert torch.allclose(moved, got[row][:, column], atol=1e-6)
    if name != "gdpo":  # its whitening moves even groups in which nothing differs
        equal = mask.sum(1) == 1
        assert not got[equal].any()


@pytest.mark.parametrize("name", sorted(set(list_registered_names("advantage")) - {"gdpo", "reward_sum"}))
@pytest.mark.parametrize("score", [0.0, 1.0, -0.7])
def test_groups_in_which_nothing_differs_get_zero(name: str, score: float):
    scores, mask = torch.full((3, 8), score, dtype=torch.float64), torch.ones(3, 8, dtype=torch.bool)
    assert float(get_registered("advantage", name)(Groups(scores, scores, mask)).abs().max()) < 1e-12


def test_no_groups_and_no_replies():
    for advantage in (compute_modulated_advantage, compute_grpo_advantage, compute_best_minus_second_advantage):
        assert advantage(torch.zeros(0, 4)).shape == (0, 4)
    assert compute_analytic_pass_at_k_advantage(torch.zeros(0, 4), 2).shape == (0, 4)
    nobody = torch.zeros(1, 3, dtype=torch.bool)
    assert compute_pass_at_k_advantage(torch.full((1, 3), NAN), 2, nobody).tolist() == [[0.0, 0.0, 0.0]]


def test_a_group_smaller_than_k_says_so():
    with pytest.warns(UserWarning, match=r"groups of \[3\] replies are smaller than k=4"):
        got = compute_analytic_pass_at_k_advantage(rows([1.0, 0.0, 0.5]), 4)
    assert not got.any()
    with pytest.warns(UserWarning, match=r"groups of \[3\] replies are as small as k=3: .*pushes nothing"):
        got = compute_modulated_advantage(rows([1.0, 0.0, 0.5]), k=3, lam=0.5)
    assert torch.allclose(got, rows([0.25, -0.25, 0.0]))


@pytest.mark.parametrize("advantage", [compute_reward_sum_advantage, compute_gdpo_advantage])
@pytest.mark.parametrize(
    ("components", "weights", "says"),
    [
        ({}, {}, "none were given"),
        (COMPONENTS, WEIGHTS | {"acuracy": 1.0}, "weight for 'acuracy' but no such component; did you mean 'accuracy'"),
        (COMPONENTS, {"accuracy": 1.0}, "component 'length' has no weight"),
        ({"a": rows([1.0, float("inf")])}, {"a": 1.0}, "component 'a': .*infinity"),
        ({"a": torch.ones(3)}, {"a": 1.0}, r"component 'a': .*shape \(groups, n\)"),
        ({"a": rows([1.0, 0.0]), "b": rows([1.0])}, {"a": 1.0, "b": 1.0}, "component 'b': .*must agree"),
        ({"a": rows([0.0, NAN]), "b": rows([1.0, NAN])}, {"a": 1.0, "b": 1.0}, "scored reply 1 of group 0"),
    ],
)
def test_bad_components_are_named(advantage, components, weights, says: str):
    with pytest.raises(ValueError, match=says):
        advantage(components, weights)


@pytest.mark.parametrize(
    "advantage",
    [
        compute_grpo_advantage,
        compute_best_minus_second_advantage,
        compute_modulated_advantage,
        lambda s: compute_analytic_pass_at_k_advantage(s, 2),
    ],
)
@pytest.mark.parametrize("scores", [rows([1.0, NAN]), rows([1.0, float("-inf")]), torch.ones(2), torch.ones(1, 2, 2)])
def test_bad_scores_are_refused(advantage, scores: torch.Tensor):
    with pytest.raises(ValueError, match=r"NaN or infinity|shape \(groups, n\)"):
        advantage(scores)
