import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mindgpt_data.tree.sampling import LeafSampler, compute_sampling_weights


def test_weights() -> None:
    np.testing.assert_allclose(compute_sampling_weights([0, 3, 99]), [1, 0.5, 0.1])


@settings(max_examples=10, deadline=None)
@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=12), st.lists(st.integers(0, 11), max_size=40), st.integers(0, 9)
)
def test_draws_match_the_weights_after_any_changes(counts, changes, seed) -> None:
    sampler = LeafSampler(counts, seed)
    for leaf in changes:
        sampler.add(leaf % len(counts))
        sampler.draw()
    want = compute_sampling_weights(sampler.counts) / compute_sampling_weights(sampler.counts).sum()
    draws = 20_000
    sigma = 5 * np.sqrt(want / draws) + 1e-3
    one_by_one = np.bincount([sampler.draw() for _ in range(draws)], minlength=len(counts)) / draws
    at_once = np.bincount(sampler.draw_many(draws), minlength=len(counts)) / draws
    assert np.all(np.abs(one_by_one - want) < sigma) and np.all(np.abs(at_once - want) < sigma)


def test_a_lowered_count_makes_a_leaf_likelier_again() -> None:
    sampler = LeafSampler([0, 10_000], seed=1)
    sampler.add(1, -10_000)
    assert np.mean([sampler.draw() for _ in range(5000)]) == pytest.approx(0.5, abs=0.04)


def test_drawing_evens_out_an_uneven_start() -> None:
    sampler = LeafSampler(np.r_[np.full(50, 40), np.zeros(50, int)], seed=2)
    for _ in range(4000):
        sampler.add(sampler.draw())
    assert sampler.counts[50:].mean() > 0.6 * sampler.counts[:50].mean()


def test_the_seed_decides() -> None:
    assert [LeafSampler([0] * 9, 3).draw() for _ in range(3)] == [LeafSampler([0] * 9, 3).draw() for _ in range(3)]
    first, second = LeafSampler(np.zeros(1000), 1), LeafSampler(np.zeros(1000), 2)
    assert [first.draw() for _ in range(5)] != [second.draw() for _ in range(5)]


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one leaf"):
        LeafSampler([])
    with pytest.raises(ValueError, match="leaf 0 has 1 items; 2 cannot be taken away"):
        LeafSampler([1]).add(0, -2)
