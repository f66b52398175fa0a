import hashlib
import math
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgpt_plugins.core.registry import check_options, get_registered
from mindgpt_plugins.curriculum.base import CurriculumError, Examples
from mindgpt_plugins.curriculum.easy_to_hard import EasyToHard, compute_competence, interleave_groups
from mindgpt_plugins.curriculum.fixed import Fixed
from mindgpt_plugins.curriculum.shuffled import Shuffled

sets = st.lists(st.tuples(st.integers(0, 2), st.floats(0, 1)), min_size=1, max_size=60).map(
    lambda rows: Examples([g for g, _ in rows], ("a", "b", "c"), [d for _, d in rows])
)


@given(sets, st.integers(0, 3), st.integers(0, 5), st.sampled_from([Shuffled, EasyToHard]))
def test_every_example_once_per_epoch(examples, seed, epoch, kind):
    assert sorted(kind(examples, seed).order(epoch)) == list(range(len(examples)))


@given(sets, st.floats(0.01, 1), st.sampled_from(["linear", "root"]))
def test_nothing_harder_than_the_competence_is_drawn(examples, start, pacing):
    order = EasyToHard(examples, 1, pacing=pacing, start=start).order(0)
    for pool in examples.pools():
        drawn = [position for position in order if position in set(pool)]
        by_difficulty = sorted(examples.difficulty[p] for p in pool)
        for slot, position in enumerate(drawn):
            n = len(pool)
            limit = max(slot + 1, math.ceil(n * compute_competence(slot / n, start, pacing)))
            assert examples.difficulty[position] <= by_difficulty[min(n, limit) - 1]


def test_a_tiny_start_gives_the_sorted_order_and_start_one_a_shuffle():
    examples = Examples([0] * 50, ("a",), [(i * 7 % 50) / 50 for i in range(50)])
    order = EasyToHard(examples, 0, pacing="linear", start=1e-9).order(0)
    assert [examples.difficulty[p] for p in order] == sorted(examples.difficulty)
    mean = [sum(EasyToHard(examples, s, start=1.0).order(0)[:10]) / 10 for s in range(200)]
    assert abs(sum(mean) / 200 - 24.5) < 1.5


@given(sets, st.integers(0, 9))
def test_orders_depend_on_seed_and_epoch_only(examples, epoch):
    first, second = EasyToHard(examples, 3), EasyToHard(examples, 3)
    second.order(epoch + 1)  # asking for another epoch first changes nothing
    second.set_epoch(epoch)
    assert first.order(epoch) == list(second)


def test_epochs_and_seeds_differ():
    examples = Examples([0] * 40, ("a",), [0.5] * 40)
    orders = {tuple(kind(examples, s).order(e)) for kind in (Shuffled, EasyToHard) for s in (0, 1) for e in (0, 1)}
    assert len(orders) == 8


def test_later_epochs_are_shuffled_unless_asked_otherwise():
    examples = Examples([0] * 100, ("a",), [i / 100 for i in range(100)])
    early = lambda sampler, epoch: sum(sampler.order(epoch)[:20]) / 20  # noqa: E731
    assert early(EasyToHard(examples, 0, start=0.01), 0) < 20
    assert early(EasyToHard(examples, 0, start=0.01), 1) > 30
    assert early(EasyToHard(examples, 0, start=0.01, paced_epochs=None), 1) < 20


def test_sources_advance_side_by_side():
    examples = Examples([0] * 75 + [1] * 25, ("domain", "general"), [i / 100 for i in range(100)])
    order = EasyToHard(examples, 0).order(0)
    for begin in range(0, 100, 20):
        domain = sum(position < 75 for position in order[begin : begin + 20])
        assert 14 <= domain <= 16
    assert interleave_groups([[1, 2], [], [3]]) == [1, 3, 2]


@settings(deadline=None)
@given(
    st.integers(1, 30),
    st.integers(1, 30),
    st.floats(0.05, 0.95),
    st.integers(1, 6),
    st.sampled_from([Shuffled, EasyToHard]),
)
def test_a_fixed_mixture_keeps_its_shares_and_uses_each_example_evenly(a, b, share, epochs, kind):
    examples = Examples([0] * a + [1] * b, ("a", "b"), [0.0] * (a + b))
    mixture = Fixed(("a", "b"), (a, b), weights={"a": share, "b": 1 - share})
    sampler = kind(examples, 0, mixture)
    seen = Counter()
    for epoch in range(epochs):
        order = sampler.order(epoch)
        assert len(order) == a + b
        assert abs(sum(p < a for p in order) - share * (a + b)) <= 1
        seen.update(order)
    for pool in examples.pools():
        uses = [seen[p] for p in pool]
        assert max(uses) - min(uses) <= 1


@given(sets)
def test_state_round_trip(examples):
    mixture = {"weights": {examples.names[examples.group[0]]: 1.0}}
    sizes = [len(p) for p in examples.pools()]
    first = EasyToHard(examples, 5, Fixed(examples.names, sizes, **mixture))
    first.set_epoch(3)
    second = EasyToHard(examples, 5, Fixed(examples.names, sizes, **mixture))
    second.load_state_dict(first.state_dict())
    assert list(second) == list(first)


@pytest.mark.parametrize(
    "other",
    [
        lambda e: EasyToHard(e, 2),
        lambda e: EasyToHard(e, 1, pacing="linear"),
        lambda e: Shuffled(e, 1),
        lambda e: EasyToHard(Examples(e.group, e.names, [0.9, 0.2]), 1),
        lambda e: EasyToHard(e, 1, Fixed(e.names, (1, 1), weights={"a": 1.0})),
    ],
)
def test_a_checkpoint_of_other_settings_or_data_is_refused(other):
    examples = Examples([0, 1], ("a", "b"), [0.1, 0.2])
    with pytest.raises(CurriculumError, match="then|mixture"):
        EasyToHard(examples, 1).load_state_dict(other(examples).state_dict())


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"a": -1.0}, ">= 0"),
        ({"a": 0.0}, "all weights are zero"),
        ({"generall": 1.0}, "generall"),
        ({"empty": 1.0}, "no examples"),
        ({"a": float("nan")}, "nan"),
    ],
)
def test_bad_mixtures_are_refused(weights, message):
    with pytest.raises(CurriculumError, match=message):
        Fixed(("a", "general", "empty"), (3, 3, 0), weights=weights)


def test_registered_under_their_recipe_names():
    assert get_registered("sampler", "easy_to_hard") is EasyToHard
    assert get_registered("sampler", "shuffled") is Shuffled
    assert get_registered("mixture", "fixed") is Fixed
    check_options("sampler", "easy_to_hard", ["pacing", "start", "paced_epochs"])
    with pytest.raises(ValueError, match="did you mean 'pacing'"):
        check_options("sampler", "easy_to_hard", ["pace"])


def test_pacing_is_platanios_competence():
    """1903.09848, eq. 6 and 7 with T = 1: t·(1 − c0) + c0 and sqrt(t·(1 − c0²) + c0²)."""
    assert [compute_competence(t, 0.1, "linear") for t in (0, 0.25, 0.5, 1)] == pytest.approx([0.1, 0.325, 0.55, 1.0])
    assert [compute_competence(t, 0.1, "root") for t in (0, 0.25, 0.5, 1)] == pytest.approx(
        [0.1, 0.5074446, 0.7106335, 1.0]
    )


def test_orders_are_those_of_the_first_release():
    """Resumed runs and published numbers depend on them."""
    rng = random.Random(0)
    examples = Examples([rng.randrange(3) for _ in range(50)], ("a", "b", "c"), [rng.random() for _ in range(50)])
    sizes = [len(pool) for pool in examples.pools()]
    sha = hashlib.sha256()
    for kind in (Shuffled, EasyToHard):
        for mixture in (None, Fixed(examples.names, sizes, weights={"a": 2, "b": 1})):
            for epoch in (0, 1):
                sha.update(repr(kind(examples, 4, mixture).order(epoch)).encode())
    assert sha.hexdigest()[:16] == "ca7a1dab06d95489"
