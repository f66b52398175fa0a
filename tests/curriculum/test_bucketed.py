import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgpt_plugins.core.registry import get_registered
from mindgpt_plugins.curriculum.base import Clock, CurriculumError, Examples
from mindgpt_plugins.curriculum.bucketed import Bucketed, measure_padding_share
from mindgpt_plugins.curriculum.easy_to_hard import EasyToHard
from mindgpt_plugins.curriculum.fixed import Fixed

rows = st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1), st.integers(1, 500)), min_size=1, max_size=80)


def world(size=2000, seed=0):
    rng = random.Random(seed)
    length = [int(rng.lognormvariate(5, 0.6)) + 1 for _ in range(size)]
    return Examples([i % 2 for i in range(size)], ("a", "b"), [rng.random() for _ in range(size)], length)


def make(examples, batch=16, window=10, mixture=None, **options):
    sampler = Bucketed(examples, 3, mixture, window=window, **options)
    sampler.attach(Clock(batch, len(examples), 100))
    return sampler


@settings(deadline=None)
@given(rows, st.integers(1, 9), st.integers(1, 5), st.integers(0, 3))
def test_every_example_once_and_every_window_as_without_grouping(rows, batch, window, epoch):
    examples = Examples(*([r[0] for r in rows], ("a", "b"), [r[1] for r in rows], [r[2] for r in rows]))
    order = make(examples, batch, window).order(epoch)
    plain = EasyToHard(examples, 3).order(epoch)
    assert sorted(order) == list(range(len(examples)))
    size = batch * window
    for start in range(0, len(order), size):
        assert sorted(order[start : start + size]) == sorted(plain[start : start + size])
    for start in range(0, len(order), batch):  # each step is one run of the window's sorted lengths
        lengths = [examples.length[p] for p in order[start : start + batch]]
        assert lengths == sorted(lengths, reverse=True)


def test_padding_falls_and_difficulty_still_rises():
    examples = world()
    grouped, plain = make(examples).order(0), EasyToHard(examples, 3).order(0)
    saved = {
        batch: (
            measure_padding_share(plain, examples.length, batch),
            measure_padding_share(grouped, examples.length, batch),
        )
        for batch in (4, 16)
    }
    print(saved)
    for before, after in saved.values():
        assert after < 0.5 * before
    mean = [sum(examples.difficulty[p] for p in grouped[i : i + 500]) / 500 for i in range(0, 2000, 500)]
    assert mean == sorted(mean)


def test_padding_counts_the_tokens_that_are_added():
    assert measure_padding_share([0, 1, 2], [4, 2, 3], 2) == pytest.approx(1 - 9 / 11)
    assert measure_padding_share([0, 1], [5, 5], 2) == 0.0


def test_steps_are_shuffled_inside_a_window():
    examples = world(160)
    order = make(examples).order(0)
    first = [max(examples.length[p] for p in order[i : i + 16]) for i in range(0, 160, 16)]
    assert first != sorted(first) and first != sorted(first, reverse=True)
    assert make(examples).order(0) != make(examples).order(1)


def test_a_mixture_keeps_its_shares_per_window():
    examples = world(640)
    order = make(examples, mixture=Fixed(("a", "b"), (320, 320), weights={"a": 3, "b": 1})).order(0)
    for start in range(0, 640, 160):
        assert abs(Counter(examples.group[p] for p in order[start : start + 160])[0] - 120) <= 1


def test_what_it_needs_is_said():
    examples = world(20)
    with pytest.raises(CurriculumError, match="needs a length"):
        Bucketed(Examples(examples.group, examples.names, examples.difficulty), 0)
    with pytest.raises(CurriculumError, match="samples per step"):
        Bucketed(examples, 0).order(0)
    with pytest.raises(CurriculumError, match="window"):
        Bucketed(examples, 0, window=0)
    with pytest.raises(CurriculumError, match="no training examples"):
        Bucketed(Examples([], ("a",), [], []), 0)
    assert get_registered("sampler", "bucketed") is Bucketed
