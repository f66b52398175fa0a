import pytest
from hypothesis import given
from hypothesis import strategies as st
from mindgpt_data.budget.density import density
from mindgpt_data.budget.per_image import compute_image_budget
from mindgpt_data.budget.random import random
from mindgpt_data.budget.rounding import BudgetError
from mindgpt_data.budget.split import split_image_budget
from mindgpt_data.budget.uniform import uniform
from mindgpt_data.schema.rows import SUB_SCORES

ALLOCATORS = [density, uniform, random]
SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=40)


@pytest.mark.parametrize("allocate", ALLOCATORS)
@given(scores=SCORES, share=st.floats(0, 1), n_min=st.integers(0, 3), room=st.integers(0, 8), gamma=st.floats(0, 3))
def test_the_budget_is_met_exactly_within_the_bounds(allocate, scores, share, n_min, room, gamma) -> None:
    low, high = n_min * len(scores), (n_min + room) * len(scores)
    total = low + int(share * (high - low))
    counts = allocate(scores, total, n_min=n_min, n_max=n_min + room, gamma=gamma)
    assert sum(counts) == total
    assert all(n_min <= c <= n_min + room for c in counts)


@given(scores=SCORES, share=st.floats(0, 1))
def test_density_gives_a_denser_image_at_least_as_much_up_to_rounding(scores, share) -> None:
    total = len(scores) + int(share * 7 * len(scores))
    counts = density(scores, total)
    for a, x in zip(scores, counts, strict=True):
        for b, y in zip(scores, counts, strict=True):
            assert a <= b or x >= y - 1


@pytest.mark.parametrize("allocate", ALLOCATORS)
@pytest.mark.parametrize("total", [2, 25])
def test_a_budget_out_of_range_is_an_error_that_says_the_range(allocate, total) -> None:
    with pytest.raises(BudgetError, match="between 3 and 24"):
        allocate([0.1, 0.5, 0.9], total)


def test_the_formula_by_hand() -> None:
    # n_min + (B - M n_min) * w: 1 + 6 * (0.1, 0.2, 0.3) / 0.6 = 2, 3, 4.
    assert density([0.1, 0.2, 0.3], 9) == [2, 3, 4]
    # The cap of 3 on the last hands its excess to the others: 1 + (1, 3 - ...) in proportion 1 : 2.
    assert density([0.1, 0.2, 9.7], 8, n_max=4) == [2, 2, 4]
    assert [compute_image_budget(s) for s in (0.0, 0.5, 1.0)] == [1, 4, 8]


def test_random_keeps_the_histogram_and_depends_on_its_seed_only() -> None:
    scores = [i / 50 for i in range(50)]
    assert sorted(random(scores, 200, seed=1)) == sorted(density(scores, 200))
    assert random(scores, 200, seed=1) == random(scores, 200, seed=1) != random(scores, 200, seed=2)


@given(st.lists(st.tuples(st.integers(0, 8), st.lists(st.floats(0, 5), min_size=4, max_size=4)), max_size=20))
def test_the_split_over_capabilities_is_exact_per_image_and_owes_little(images) -> None:
    carry: dict[str, float] = {}
    for count, scores in images:
        assert sum(split_image_budget(count, dict(zip(SUB_SCORES, scores, strict=True)), carry).values()) == count
    assert abs(sum(carry.values())) < 1e-6


def test_the_carry_gives_single_questions_their_shares() -> None:
    carry: dict[str, float] = {}
    scores = {"subjects": 2.0, "spatial": 1.0, "text": 1.0, "knowledge": 0.0}
    given_ = [split_image_budget(1, scores, carry) for _ in range(40)]
    assert {d: sum(g[d] for g in given_) for d in SUB_SCORES} == {
        "subjects": 20, "spatial": 10, "text": 10, "knowledge": 0,
    }  # fmt: skip
