import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgpt_plugins.core.registry import get_registered
from mindgpt_plugins.curriculum.base import Clock, CurriculumError, Examples
from mindgpt_plugins.curriculum.fixed import Fixed
from mindgpt_plugins.curriculum.self_paced import SelfPaced

EXAMPLES = Examples([i % 3 for i in range(90)], ("a", "b", "c"))


def make(examples=EXAMPLES, mixture=None, **options):
    sampler = SelfPaced(examples, 5, mixture, **options)
    sampler.attach(Clock(8, len(examples), 3 * -(-len(examples) // 8)))
    return sampler


@settings(deadline=None)
@given(st.lists(st.floats(0, 9) | st.just(math.nan), min_size=90, max_size=90), st.sampled_from(["sample", "source"]))
def test_every_example_once_whatever_was_measured(losses, by):
    sampler = make(by=by)
    sampler.record(range(90) if by == "sample" else [0, 1, 2], losses if by == "sample" else losses[:3])
    sampler.set_epoch(1)
    assert sorted(sampler) == list(range(90))


def test_low_losses_come_first_and_the_threshold_grows():
    sampler = make(start=1e-6, pacing="linear")
    loss = [(i * 7 % 30) / 10 for i in range(90)]
    sampler.record(range(90), loss)
    assert sampler.threshold(0.5) is None  # the first epoch measures
    sampler.set_epoch(1)
    for k in range(3):
        drawn = [loss[p] for p in sampler if EXAMPLES.group[p] == k]
        assert drawn == sorted(drawn)
    thresholds = [sampler.threshold(t / 10) for t in range(11)]
    assert thresholds == sorted(thresholds)
    assert thresholds[-1] == pytest.approx(max(loss))


def test_by_source_whole_sources_come_one_after_the_other():
    sampler = make(by="source", start=1e-6, pacing="linear")
    sampler.record([2, 0, 1], [0.1, 3.0, 1.0])
    sampler.set_epoch(1)
    assert [EXAMPLES.group[p] for p in sampler] == [2] * 30 + [1] * 30 + [0] * 30


def test_running_losses_remember():
    sampler = make(momentum=0.75)
    sampler.record([4], [2.0])
    sampler.record([4], [1.0])
    sampler.record([4], [math.inf])
    sampler.set_epoch(1)
    assert sampler.threshold(1.0) == pytest.approx(0.75 * 2.0 + 0.25 * 1.0)


def test_an_epochs_order_is_fixed_when_it_begins_and_survives_a_kill():
    losses = [(i * 11 % 90) / 9 for i in range(90)]
    straight = make()
    straight.record(range(90), losses)
    straight.set_epoch(1)
    order = list(straight)
    straight.record(range(40), [9.0 - x for x in losses[:40]])  # half an epoch later
    assert list(straight) == order
    resumed = make()
    resumed.load_state_dict(json.loads(json.dumps(straight.state_dict())))
    resumed.set_epoch(1)
    assert list(resumed) == order
    for sampler in (straight, resumed):
        sampler.record(range(40, 90), losses[40:])
        sampler.set_epoch(2)
    assert list(straight) == list(resumed) != order


def test_what_cannot_be_is_refused():
    with pytest.raises(CurriculumError, match="one epoch"):
        SelfPaced(EXAMPLES, 0).attach(Clock(8, 90, 12))
    with pytest.raises(CurriculumError, match="epoch 2 follows from the losses"):
        make().order(2)
    with pytest.raises(CurriculumError, match="neither 'sample' nor 'source'"):
        SelfPaced(EXAMPLES, 0, by="token")
    with pytest.raises(CurriculumError, match="pacing"):
        SelfPaced(EXAMPLES, 0, pacing="cubic")
    with pytest.raises(CurriculumError, match="momentum"):
        SelfPaced(EXAMPLES, 0, momentum=1.0)
    assert get_registered("sampler", "self_paced") is SelfPaced


def test_a_fixed_mixture_goes_with_it():
    sampler = make(mixture=Fixed(("a", "b", "c"), (30, 30, 30), weights={"a": 1, "b": 1}))
    sampler.record(range(60), [1.0] * 60)
    sampler.set_epoch(1)
    assert sum(EXAMPLES.group[p] == 0 for p in sampler) == 45
