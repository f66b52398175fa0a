import pytest
from torchdata.stateful_dataloader import StatefulDataLoader

from mindgpt_plugins.curriculum.base import CurriculumError
from mindgpt_plugins.verl_ext.sampler import CurriculumSampler

ROWS = 40
DIFFICULTY = [((row * 17) % ROWS) / ROWS for row in range(ROWS)]


def sampler(name: str = "easy_to_hard", draws: int = ROWS, seed: int = 0, **options) -> CurriculumSampler:
    sources = ["a" if row % 2 else "b" for row in range(ROWS)]
    return CurriculumSampler(DIFFICULTY, sources, name=name, options=options, seed=seed, draws=draws)


def loader(*args, **kwargs) -> StatefulDataLoader:
    return StatefulDataLoader(
        list(range(ROWS)), batch_size=4, sampler=sampler(*args, **kwargs), drop_last=True, collate_fn=list
    )


def batches(source: StatefulDataLoader, count: int) -> list[list[int]]:
    got: list[list[int]] = []
    iterator = None
    while len(got) < count:
        iterator = iterator or iter(source)
        try:
            got.append(next(iterator))
        except StopIteration:
            iterator = None
    return got


def test_every_row_once_per_epoch_and_easy_ones_first():
    order = list(sampler())
    assert sorted(order) == list(range(ROWS))
    mean = [sum(DIFFICULTY[row] for row in part) / len(part) for part in (order[:10], order[-10:])]
    assert mean[0] < mean[1] - 0.3


def test_a_short_run_still_goes_from_easy_to_hard():
    order = list(sampler(draws=20))
    assert len(order) == 20
    assert max(DIFFICULTY[row] for row in order[-5:]) > 0.8


@pytest.mark.parametrize("name", ["easy_to_hard", "shuffled"])
@pytest.mark.parametrize("killed_after", [1, 9, 10, 13, 20])
def test_resume_is_exact_within_and_across_epochs(name: str, killed_after: int):
    straight = batches(loader(name), 26)
    first = loader(name)
    done = batches(first, killed_after)
    state = first.state_dict()
    resumed = loader(name)
    resumed.load_state_dict(state)
    assert done + batches(resumed, 26 - killed_after) == straight


def test_another_seed_is_refused_on_resume():
    first = loader()
    batches(first, 2)
    other = loader(seed=1)
    other.load_state_dict(first.state_dict())
    with pytest.raises(CurriculumError, match="seed: 0 then, 1 now"):
        batches(other, 1)


@pytest.mark.parametrize(("name", "why"), [("self_paced", "training losses"), ("bucketed", "token lengths")])
def test_samplers_that_need_what_rl_does_not_know_are_refused(name, why):
    with pytest.raises(ValueError, match=f"{name!r} needs {why}"):
        sampler(name)
