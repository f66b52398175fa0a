import pytest
from torchdata.stateful_dataloader import StatefulDataLoader

from mindgpt_plugins.curriculum.base import CurriculumError
from mindgpt_plugins.curriculum.config import MixtureChoice, SamplerChoice
from mindgpt_plugins.stages.base import Context
from mindgpt_plugins.stages.rl.config import RLConfig
from mindgpt_plugins.stages.rl.stage import RL
from mindgpt_plugins.verl_ext.sampler import CurriculumSampler

ROWS = 40
DIFFICULTY = [((row * 17) % ROWS) / ROWS for row in range(ROWS)]


SOURCES = ["a" if row % 4 else "b" for row in range(ROWS)]


def sampler(
    name: str = "easy_to_hard", draws: int = ROWS, seed: int = 0, mixture: dict | None = None, **options
) -> CurriculumSampler:
    mixed = None if mixture is None else MixtureChoice.model_validate(mixture)
    choice = SamplerChoice(name=name, options=options)
    return CurriculumSampler(DIFFICULTY, SOURCES, choice, mixed, seed=seed, prompts_per_step=4, steps=draws // 4)


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


FIXED = {"name": "fixed", "options": {"weights": {"a": 1, "b": 1}}}
MOVING = {"name": "scheduled", "options": {"weights": {"a": {"kind": "linear", "start": 1, "end": 0}, "b": 1}}}
DYNAMIC = {"name": "dynamic", "options": {"weights": {"a": 1, "b": 1}}}


@pytest.mark.parametrize(
    ("name", "mixture", "why"),
    [
        ("self_paced", None, "'self_paced' needs training losses"),
        ("bucketed", None, "'bucketed' needs token lengths"),
        ("shuffled", DYNAMIC, "'dynamic' follows losses"),
    ],
)
def test_what_needs_more_than_rl_knows_is_refused_here_and_by_validate(name, mixture, why, tmp_path):
    with pytest.raises(CurriculumError, match=f"{why}.*not known in RL"):
        sampler(name, mixture=mixture)
    recipe = {"kind": "rl", "model": "m", "train": "d/x", "steps": 1, "curriculum": name, "mixture": mixture}
    context = Context(name="rl", folder=tmp_path, inputs={}, seed=0)
    (problem,) = RL().check(RLConfig.model_validate(recipe), context)
    assert why in problem


def shares(order: list[int]) -> list[float]:
    return [sum(SOURCES[row] == "a" for row in order[i : i + 4]) / 4 for i in range(0, len(order), 4)]


def test_mixtures_hold_in_each_step_and_move_over_the_run():
    assert sum(shares(list(sampler("shuffled", mixture=FIXED)))) / 10 == 0.5
    found = shares(list(sampler("easy_to_hard", mixture=MOVING)))
    assert (found[0], found[-1]) == (0.5, 0.0)
    weights = [1 - step / 9 for step in range(10)]
    assert all(abs(share - w / (w + 1)) < 0.25 for share, w in zip(found, weights, strict=True))  # within one prompt


@pytest.mark.parametrize("mixture", [FIXED, MOVING])
def test_resume_is_exact_with_a_mixture(mixture: dict):
    straight = batches(loader("easy_to_hard", mixture=mixture), 10)
    first = loader("easy_to_hard", mixture=mixture)
    done = batches(first, 4)
    resumed = loader("easy_to_hard", mixture=mixture)
    resumed.load_state_dict(first.state_dict())
    assert done + batches(resumed, 6) == straight


def test_an_unknown_difficulty_is_not_taken_for_easy():
    choice = SamplerChoice(name="easy_to_hard")
    with pytest.raises(CurriculumError, match="easy_to_hard' needs a difficulty, and 1 of 2 rows have none"):
        CurriculumSampler([0.5, None], ["a", "a"], choice, seed=0, prompts_per_step=1, steps=2)
    shuffled = SamplerChoice(name="shuffled")
    assert len(CurriculumSampler([0.5, None], ["a", "a"], shuffled, seed=0, prompts_per_step=1, steps=2)) == 2
