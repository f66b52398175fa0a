import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torchdata.stateful_dataloader import StatefulDataLoader

from mindgpt_plugins.curriculum.base import CurriculumError
from mindgpt_plugins.curriculum.config import MixtureChoice, SamplerChoice
from mindgpt_plugins.verl_ext.sampler import CurriculumSampler
from mindgpt_plugins.verl_ext.step.twins import PairedCounterfactualError, PairedCounterfactuals


def rows(pairs: int, singles: int) -> list[dict]:
    found = [{"uid": f"q{i}", "twin_uid": None} for i in range(pairs + singles)]
    return found + [{"uid": f"blank-{i}", "twin_uid": f"q{i}"} for i in range(pairs)]


def parted(order: list[int], family: list[str], batch: int) -> list[str]:
    """Families of which some members are in one whole step and some in another, or left over."""
    steps = {row: place // batch for place, row in enumerate(order)}
    where: dict[str, set[int]] = {}
    for row, step in steps.items():
        where.setdefault(family[row], set()).add(step)
    return [name for name, found in where.items() if len(found) > 1]


@given(st.integers(0, 30), st.integers(0, 60), st.integers(2, 9), st.randoms())
def test_twins_share_a_step_and_every_row_comes_once(pairs: int, singles: int, batch: int, rng: random.Random):
    found = rows(pairs, singles)
    family = [row["twin_uid"] or row["uid"] for row in found]
    twins = PairedCounterfactuals.of(found, batch)
    order = list(range(len(found)))
    rng.shuffle(order)
    try:
        twins.check(order)
    except PairedCounterfactualError:
        assert batch % 2
        assert singles < len(found) // batch
        return
    arranged = twins.arrange(order)
    assert sorted(arranged) == sorted(order)
    whole = len(order) // batch * batch
    # Left-over rows are never trained on in this epoch, so a pair in there is not parted either.
    assert parted(arranged, family, batch) == [] or whole == 0


@given(st.lists(st.integers(1, 4), min_size=1, max_size=25), st.integers(4, 10), st.randoms())
def test_larger_families_too(sizes: list[int], batch: int, rng: random.Random):
    family = [f"f{i}" for i, size in enumerate(sizes) for _ in range(size)]
    twins, order = PairedCounterfactuals(family, batch), list(range(len(family)))
    rng.shuffle(order)
    try:
        twins.check(order)
    except PairedCounterfactualError:
        return
    arranged = twins.arrange(order)
    assert sorted(arranged) == order or sorted(arranged) == sorted(order)
    whole = arranged[: len(order) // batch * batch]
    split = parted(arranged, family, batch)
    assert not [name for name in split if any(family[row] == name for row in whole)]


def test_without_twins_nothing_moves():
    order = [3, 1, 0, 2, 4]
    twins = PairedCounterfactuals.of(rows(0, 5), 2)
    assert not twins
    assert twins.arrange(order) == order


def test_the_order_stays_close_to_the_curriculums():
    found = rows(20, 180)
    twins, order = PairedCounterfactuals.of(found, 16), sorted(range(220), key=lambda row: (row % 200, row))
    arranged = twins.arrange(order)
    assert max(abs(arranged.index(row) - place) for place, row in enumerate(order)) <= 32


def test_a_step_of_one_prompt_cannot_hold_a_pair():
    with pytest.raises(
        PairedCounterfactualError, match=r"'q0' and its adversarial twins are 2 prompts, .* prompts_per_step = 1"
    ):
        PairedCounterfactuals.of(rows(1, 3), 1)


def test_odd_steps_of_pairs_only_are_refused_with_the_way_out():
    twins = PairedCounterfactuals.of(rows(9, 1), 3)
    with pytest.raises(
        PairedCounterfactualError, match="may take 6 prompts without a twin, and there are 1; use an even one"
    ):
        twins.check(range(19))


def test_a_twin_without_its_partner_is_said():
    with pytest.warns(UserWarning, match=r"1 adversarial prompts \(blank-0…\) have no answerable twin"):
        twins = PairedCounterfactuals.of([{"uid": "blank-0", "twin_uid": "q0"}, {"uid": "q1", "twin_uid": None}], 2)
    assert not twins


def test_rows_that_only_share_a_uid_are_no_family():
    assert not PairedCounterfactuals.of([{"uid": "a", "twin_uid": None}, {"uid": "a", "twin_uid": None}, {}, {}], 1)


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 60), st.integers(0, 5))
def test_a_subset_splits_no_pair_and_has_its_size(pairs: int, singles: int, draws: int, seed: int):
    found = rows(pairs, singles)
    chosen = PairedCounterfactuals.of(found, 4).subset(draws, seed)
    assert len(chosen) >= min(draws, len(found)) - 1
    assert len(set(chosen)) == len(chosen) <= max(draws, len(found))
    names = {found[row]["twin_uid"] or found[row]["uid"] for row in chosen}
    assert all(
        sum((row["twin_uid"] or row["uid"]) == name for row in found)
        == sum((found[row]["twin_uid"] or found[row]["uid"]) == name for row in chosen)
        for name in names
    )


def loader(batch: int = 4, pairs: int = 10, steps: int = 10, mixture=None) -> StatefulDataLoader:
    found = rows(pairs, 40 - 2 * pairs)
    sampler = CurriculumSampler(
        [((row * 17) % 40) / 40 for row in range(40)], ["a"] * 40, SamplerChoice(name="easy_to_hard"), mixture, seed=0,
        prompts_per_step=batch, steps=steps, twins=PairedCounterfactuals.of(found, batch),
    )  # fmt: skip
    return StatefulDataLoader(list(range(40)), batch_size=batch, sampler=sampler, drop_last=True, collate_fn=list)


def batches(source: StatefulDataLoader, count: int) -> list[list[int]]:
    got: list[list[int]] = []
    iterator = iter(source)
    while len(got) < count:
        try:
            got.append(next(iterator))
        except StopIteration:
            iterator = iter(source)
    return got


@pytest.mark.parametrize("killed_after", [1, 9, 10, 13])
def test_resume_is_exact_and_pairs_stay_together(killed_after: int):
    straight = batches(loader(), 20)
    assert all((row >= 30) <= (row - 30 in step) for step in straight for row in step)
    assert sorted(row for step in straight[:10] for row in step) == list(range(40))
    first = loader()
    done = batches(first, killed_after)
    resumed = loader()
    resumed.load_state_dict(first.state_dict())
    assert done + batches(resumed, 20 - killed_after) == straight


def test_a_short_run_takes_whole_pairs():
    steps = batches(loader(steps=5), 5)
    assert all((row >= 30) <= (row - 30 in step) for step in steps for row in step)


def test_another_step_size_or_other_pairs_are_refused_on_resume():
    first = loader()
    batches(first, 2)
    for other in (loader(batch=5), loader(pairs=9)):
        other.load_state_dict(first.state_dict())
        with pytest.raises(CurriculumError, match="twins"):
            batches(other, 1)


def test_a_mixture_would_part_twins_and_is_refused():
    with pytest.raises(CurriculumError, match="draws prompts one by one and would part 10 adversarial twins"):
        loader(mixture=MixtureChoice(name="fixed", options={"weights": {"a": 1.0}}))
