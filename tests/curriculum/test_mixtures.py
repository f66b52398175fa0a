import json
import math
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mindgpt_plugins.core.registry import check_options, get_registered
from mindgpt_plugins.curriculum.base import Clock, CurriculumError, Examples
from mindgpt_plugins.curriculum.bucketed import Bucketed
from mindgpt_plugins.curriculum.dynamic import Dynamic, apply_weight_floor
from mindgpt_plugins.curriculum.easy_to_hard import EasyToHard
from mindgpt_plugins.curriculum.mixture import Rounding
from mindgpt_plugins.curriculum.scheduled import Scheduled
from mindgpt_plugins.curriculum.self_paced import SelfPaced
from mindgpt_plugins.curriculum.shuffled import Shuffled

NAMES = ("domain", "general", "plain")
RAMP = {
    "domain": {"kind": "linear", "start": 3.0, "end": 0.5},
    "general": 1,
    "plain": {"kind": "cosine", "start": 0, "end": 2},
}


def world(sizes=(40, 25, 15)):
    group = [k for k, size in enumerate(sizes) for _ in range(size)]
    return Examples(
        group, NAMES, [(i * 37 % 101) / 101 for i in range(len(group))], [i * 13 % 29 for i in range(len(group))]
    )


def built(kind, examples, mixture, batch, epochs=2, **options):
    sizes = [len(pool) for pool in examples.pools()]
    sampler = kind(examples, 7, mixture(examples.names, sizes), **options)
    sampler.attach(Clock(batch, len(examples), epochs * -(-len(examples) // batch)))
    return sampler


def scheduled(names, sizes):
    return Scheduled(names, sizes, weights=RAMP)


def dynamic(**options):
    return lambda names, sizes: Dynamic(names, sizes, weights={"domain": 3, "general": 1}, **options)


def steps_of(order, batch):
    return [order[i : i + batch] for i in range(0, len(order), batch)]


@settings(deadline=None)
@given(
    st.integers(1, 17), st.sampled_from([Shuffled, EasyToHard]), st.lists(st.integers(1, 40), min_size=3, max_size=3)
)
def test_every_step_follows_the_declared_shares_within_one_sample(batch, kind, sizes):
    examples = world(sizes)
    sampler = built(kind, examples, scheduled, batch, epochs=3)
    total = [0.0] * 3
    for epoch in range(3):
        order = sampler.order(epoch)
        assert len(order) == len(examples)
        for index, step in enumerate(steps_of(order, batch)):
            shares = sampler.mixture.shares_at(epoch * sampler.clock.steps_per_epoch + index)
            seen = Counter(examples.group[p] for p in step)
            for k, share in enumerate(shares):
                assert abs(seen[k] - share * len(step)) < 1
                total[k] += seen[k] - share * len(step)
                assert abs(total[k]) <= 2  # rounding does not add up either


@settings(deadline=None)
@given(st.lists(st.lists(st.floats(0, 1), min_size=4, max_size=4), min_size=30, max_size=60), st.integers(1, 9))
def test_rounding_carries_what_is_owed(rows, size):
    rounding = Rounding(4)
    for row in rows:
        total = sum(row)
        shares = [x / total for x in row] if total > 1e-6 else [0.25] * 4
        counts = rounding.counts(shares, size)
        assert sum(counts) == size
        assert all(abs(n - share * size) < 1 for n, share in zip(counts, shares, strict=True))
        assert max(map(abs, rounding.owed)) < 3
        assert abs(sum(rounding.owed)) < 1e-6


def test_schedules_reach_their_ends_over_the_run_and_not_over_each_epoch():
    sampler = built(Shuffled, world(), scheduled, 10, epochs=2)
    first, last = sampler.mixture.shares_at(0), sampler.mixture.shares_at(15)
    assert first == pytest.approx([0.75, 0.25, 0.0])
    assert last == pytest.approx([0.5 / 3.5, 1 / 3.5, 2 / 3.5])
    assert sampler.mixture.shares_at(8) != pytest.approx(first, abs=0.1)
    mean = [sum(sampler.mixture.shares_at(t)[k] for t in range(16)) / 16 for k in range(3)]
    assert sampler.mixture.declared() == pytest.approx(mean)


@given(st.integers(1, 12), st.integers(1, 4), st.sampled_from([Shuffled, EasyToHard]))
@settings(deadline=None)
def test_a_scheduled_mixture_uses_each_example_evenly(batch, epochs, kind):
    examples = world((9, 5, 3))
    sampler = built(kind, examples, scheduled, batch, epochs)
    seen = Counter(p for epoch in range(epochs) for p in sampler.order(epoch))
    for pool in examples.pools():
        uses = [seen[p] for p in pool]
        assert max(uses) - min(uses) <= 1


def test_within_a_source_the_curriculum_holds_under_a_schedule():
    examples = world((200, 200, 200))
    order = built(EasyToHard, examples, scheduled, 20, epochs=1, start=0.02, pacing="linear").order(0)
    domain = [examples.difficulty[p] for p in order if examples.group[p] == 0]
    quarter = len(domain) // 4
    assert sum(domain[:quarter]) / quarter < 0.3 < 0.7 < sum(domain[-quarter:]) / quarter


@given(st.integers(1, 9), st.integers(0, 3))
@settings(deadline=None)
def test_orders_do_not_depend_on_what_was_asked_before(batch, epoch):
    one, other = (built(EasyToHard, world(), scheduled, batch, epochs=4) for _ in range(2))
    other.order(3)
    other.set_epoch(epoch)
    assert one.order(epoch) == list(other)


def test_the_formula_of_the_dynamic_mixture():
    mixture = Dynamic(("a", "b"), (9, 9), weights={"a": 3, "b": 1}, signal="eval_accuracy", reference={"b": 0.8})
    mixture.attach(Clock(4, 18, 50), 1)
    assert mixture.shares_at(0) == [0.75, 0.25]
    change = mixture.measured(6, {"a": 0.5, "b": 0.75})  # b lost 5 points; a is its own reference
    up = 0.25 * math.exp(0.5 * 0.5)
    assert change.from_step == 16
    assert change.shares == pytest.approx((0.75 / (0.75 + up), up / (0.75 + up)))
    assert mixture.shares_at(15) == [0.75, 0.25]
    assert mixture.shares_at(16) == list(change.shares)
    far = mixture.measured(20, {"a": 0.9, "b": 0.1})  # clipped on both sides
    low, high = 0.75 * math.exp(-0.5), 0.25 * math.exp(0.5)
    assert far.shares == pytest.approx((low / (low + high), high / (low + high)))
    assert mixture.measured(21, {"a": 0.9, "b": 0.1}) is None  # proportional: it does not wind up
    back = mixture.measured(30, {"a": 0.5, "b": 0.8})
    assert back.shares == pytest.approx((0.75, 0.25))
    (a, b) = mixture.bounds()
    assert a[0] <= far.shares[0] and far.shares[1] <= b[1]


def test_a_rising_training_loss_raises_the_share_and_an_unmeasured_group_keeps_its_weight():
    mixture = Dynamic(NAMES, (9, 9, 9), weights={"domain": 1, "general": 1}, scale=0.2)
    mixture.attach(Clock(4, 27, 50), 1)
    assert mixture.measured(1, {"domain": 1.0, "general": math.nan}) is None
    change = mixture.measured(2, {"domain": 1.1, "general": math.nan})
    assert change.shares == pytest.approx((math.exp(0.25) / (1 + math.exp(0.25)), 1 / (1 + math.exp(0.25)), 0.0))


@given(st.lists(st.floats(0, 100), min_size=1, max_size=8).filter(any), st.floats(0, 0.125))
def test_the_floor_holds_for_every_positive_weight(weights, floor):
    shares = apply_weight_floor(weights, floor)
    assert sum(shares) == pytest.approx(1.0)
    for weight, share in zip(weights, shares, strict=True):
        assert share >= floor - 1e-12 if weight > 0 else share == 0.0
    order = sorted(range(len(weights)), key=lambda k: weights[k])
    assert all(shares[a] <= shares[b] + 1e-12 for a, b in zip(order, order[1:], strict=False))


@settings(deadline=None, max_examples=60)
@example(2, 4, [(1, 0.0, 0.0), (10, 0.0, 1.0)], 0, Bucketed)  # inside a window that has been planned
@example(
    2, 4, [(1, 0.0, 0.0), (36, 0.0, 1.0)], 0, Bucketed
)  # a change at the end of an epoch that windows do not divide
@given(
    st.integers(1, 6),
    st.sampled_from([1, 4]),
    st.lists(st.tuples(st.integers(1, 40), st.floats(0, 1), st.floats(0, 1)), max_size=5),
    st.integers(0, 40),
    st.sampled_from([Shuffled, EasyToHard, Bucketed]),
)
def test_what_is_trained_on_is_what_the_recorded_changes_say(batch, delay, events, killed, kind):
    """Live, with measurements arriving while the loader runs ahead; then resumed from every kind of place."""
    examples = world((20, 12, 8))
    options = {"window": 3} if kind is Bucketed else {}
    make = lambda: built(kind, examples, dynamic(delay=delay, scale=0.5), batch, epochs=3, **options)  # noqa: E731
    events = {step: {"domain": a, "general": b} for step, a, b in events}
    live, trained, saved = make(), [], None
    clock = live.clock
    for epoch in range(3):
        live.set_epoch(epoch)
        walk, ahead = iter(live), []
        for index in range(clock.steps_per_epoch):
            step = epoch * clock.steps_per_epoch + index
            last = min((epoch + 1) * clock.steps_per_epoch, step + delay)  # the loader runs ahead as far as it may
            while len(ahead) < sum(clock.size(s) for s in range(step, last)):
                ahead.append(next(walk))
            trained.append(ahead[: clock.size(step)])
            del ahead[: clock.size(step)]
            if step + 1 in events:
                live.measured(step + 1, events[step + 1])
            if step + 1 == killed:
                saved = json.loads(json.dumps(live.state_dict()))
    declared = [position for epoch in range(3) for position in live.order(epoch)]
    assert [position for step in trained for position in step] == declared
    if saved is not None:
        resumed = make()
        resumed.load_state_dict(saved)
        for step in range(killed, 3 * clock.steps_per_epoch):
            epoch, index = divmod(step, clock.steps_per_epoch)
            start = index * batch
            assert resumed.order(epoch)[start : start + clock.size(step)] == trained[step]
            if step + 1 in events:
                resumed.measured(step + 1, events[step + 1])


@pytest.mark.parametrize("kind", [Shuffled, EasyToHard])
def test_each_source_goes_through_its_passes_whatever_the_changes(kind):
    examples = Examples([0] * 20 + [1] * 20, ("domain", "general"), [i / 40 for i in range(40)])
    sampler = built(
        kind, examples, lambda n, s: Dynamic(n, s, weights={"domain": 1, "general": 1}, delay=2), 4, epochs=5
    )
    drawn = ([], [])
    for epoch in range(5):
        sampler.measured(10 * epoch + 1, {"domain": 1.0, "general": [1.0, 1.1, 0.97, 1.03, 1.0][epoch]})
        for position in sampler.order(epoch):
            drawn[examples.group[position]].append(position)
    assert len(drawn[1]) % 20  # epochs and passes have parted
    for pool, group in zip(examples.pools(), drawn, strict=True):
        for start in range(0, len(group) - 19, 20):
            assert sorted(group[start : start + 20]) == pool


def test_a_change_that_comes_too_late_stops_instead_of_breaking_the_order():
    sampler = built(Shuffled, world(), dynamic(delay=2), 4)
    walk = iter(sampler)
    for _ in range(4 * 6):
        next(walk)
    sampler.measured(1, {"domain": 1.0})
    with pytest.raises(
        CurriculumError, match="acts from step 4, but .* fetched up to step 6; raise the mixture's delay"
    ):
        sampler.measured(1, {"domain": 2.0})


def test_after_a_change_the_shares_of_each_step_are_the_new_ones():
    examples = world((200, 200, 200))
    sampler = built(EasyToHard, examples, dynamic(delay=3, eta=2.0), 20, epochs=1)
    before = sampler.order(0)
    sampler.measured(5, {"domain": 1.0, "general": 1.0})
    change = sampler.measured(10, {"domain": 1.0, "general": 2.0})
    after = sampler.order(0)
    assert change.from_step == 13
    assert after[: 13 * 20] == before[: 13 * 20]
    shares = [Counter(examples.group[p] for p in step)[1] / 20 for step in steps_of(after, 20)]
    assert shares[:13] == [0.25] * 13
    assert all(abs(share - change.shares[1]) < 1 / 20 for share in shares[13:])
    assert change.shares[1] > 0.7


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda n, s: Scheduled(n, s, weights={"domain": {"kind": "linear", "start": 1, "end": -1}}), "reaches -1"),
        (lambda n, s: Scheduled(n, s, weights={"domain": -1}), ">= 0"),
        (lambda n, s: Scheduled(n, s, weights={"domain": 0}), "all weights are zero"),
        (lambda n, s: Scheduled(n, s, weights={"domian": 1}), "did you mean 'domain'"),
        (lambda n, s: Scheduled(n, s, weights={"plain": 1}), "'plain' has weight 1.0 but no examples"),
        (lambda n, s: Scheduled(n, s, weights={"domain": {"kind": "linaer", "start": 1}}), "'domain'.*is no schedule"),
        (lambda n, s: Scheduled(n, s, weights={"domain": float("nan")}), "nan"),
        (lambda n, s: Dynamic(n, s, weights={"domain": 1}, signal="loss"), "none of train_loss"),
        (lambda n, s: Dynamic(n, s, weights={"domain": 1, "plain": 1}), "no examples"),
        (lambda n, s: Dynamic(n, s, weights={"domain": 1, "general": 1}, floor=0.6), "exceeds the whole"),
        (lambda n, s: Dynamic(n, s, weights={"domain": 1}, eta=0), "must be positive"),
        (lambda n, s: Dynamic(n, s, weights={"domain": 1}, delay=0), "at least 1"),
        (lambda n, s: Dynamic(n, s, weights={"domain": 1}, reference={"x": 1}), "mixture.reference"),
        (lambda n, s: Dynamic(n, s, weights={"domain": 1}, probes={"domain": "x"}), "goes with signal"),
    ],
)
def test_bad_mixtures_are_refused(build, message):
    with pytest.raises(CurriculumError, match=message):
        build(NAMES, (3, 3, 0))


def test_a_moment_with_no_weight_at_all_is_found_before_training():
    weights = {"domain": {"kind": "piecewise", "points": [[0, 1], [0.5, 0], [1, 1]]}}
    with pytest.raises(CurriculumError, match="all weights are zero at step 5"):
        built(Shuffled, world(), lambda n, s: Scheduled(n, s, weights=weights), 80, epochs=9)


def test_a_moving_mixture_needs_the_clock():
    examples = world()
    sampler = Shuffled(examples, 0, Scheduled(NAMES, (40, 25, 15), weights=RAMP))
    with pytest.raises(CurriculumError, match="needs the number of steps"):
        sampler.order(0)
    with pytest.raises(CurriculumError, match="samples per epoch"):
        sampler.attach(Clock(4, 81, 10))
    with pytest.raises(CurriculumError, match="fixed mixture only"):
        SelfPaced(examples, 0, Scheduled(NAMES, (40, 25, 15), weights=RAMP))


@pytest.mark.parametrize("other", [{"eta": 0.4}, {"every": 7}, {"floor": 0.0}])
def test_a_checkpoint_of_another_dynamic_mixture_is_refused(other):
    saved = built(Shuffled, world(), dynamic(), 4).state_dict()
    built(Shuffled, world(), dynamic(), 4).load_state_dict(saved)
    with pytest.raises(CurriculumError, match=f"{next(iter(other))}: .* then, .* now"):
        built(Shuffled, world(), dynamic(**other), 4).load_state_dict(saved)


def test_a_schedule_of_a_run_of_another_length_is_another_schedule():
    saved = built(Shuffled, world(), scheduled, 4, epochs=2).state_dict()
    with pytest.raises(CurriculumError, match="total_steps: 40 then, 60 now"):
        built(Shuffled, world(), scheduled, 4, epochs=3).load_state_dict(saved)


def test_registered_under_their_recipe_names():
    assert get_registered("mixture", "scheduled") is Scheduled
    assert get_registered("mixture", "dynamic") is Dynamic
    check_options("mixture", "dynamic", ["weights", "signal", "probes", "eta", "floor", "every", "delay", "scale"])
