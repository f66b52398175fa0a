import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mindgpt_plugins.core import registry
from mindgpt_plugins.core.registry import RegistryError
from mindgpt_plugins.core.schedule import Constant, Piecewise, Ramp, compute_progress, evaluate_schedule
from mindgpt_plugins.rewards.sdk import Group, RewardError, Rollout, reward
from mindgpt_plugins.rewards.suite import GroupScores, RewardConfig, Suite


@pytest.fixture
def temporary():
    before = dict(registry._registered)
    yield
    registry._registered.clear()
    registry._registered.update(before)


def suite(**rewards: dict) -> Suite:
    return Suite({name: RewardConfig.model_validate(config) for name, config in rewards.items()})


def modulated(s: Suite, rollouts: list[Rollout], scores: list[float]) -> tuple[list[float], GroupScores]:
    (found,) = s.score_groups([Group(rollouts, scores)])
    rows = [{name: values[i] for name, values in found.components.items()} for i in range(len(rollouts))]
    return s.combine(rows, scores, rollouts[0].progress).modulated.tolist(), found


def right(text: str = "answer: red", **fields) -> Rollout:
    return Rollout(text, "red", **fields)


def test_a_closed_gate_takes_the_score():
    s = suite(accuracy={}, format={})
    assert s.score_sample(right()).score == 1.0
    assert s.score_sample(right("answer: red or answer: red")).score == 0.0


def test_a_closed_gate_keeps_a_punishment(temporary):
    @reward(name="harsh")
    def harsh(r: Rollout) -> float:
        return -1.0

    got = suite(harsh={}, format={}).score_sample(right("no", type="adversarial"))
    assert got.score == -1.0


def test_tasks_are_averaged_over_those_that_scored(temporary):
    @reward(name="grader")
    def grader(r: Rollout) -> float | None:
        return None if r.difficulty else 0.25

    s = suite(accuracy={"weight": 1.0}, grader={"weight": 3.0})
    assert s.score_sample(right()).score == pytest.approx((1.0 + 3 * 0.25) / 4)
    scored = s.score_sample(right(difficulty=1.0))
    assert (scored.score, scored.components["grader"]) == (1.0, None)


def test_a_sample_that_nothing_scores_is_an_error():
    with pytest.raises(RewardError, match="no task reward scored sample 'u1' of type 'open'"):
        suite(accuracy={}).score_sample(right(type="open", uid="u1"))


def test_modulators_touch_correct_replies_only():
    s = suite(accuracy={}, conciseness={"weight": 0.2, "options": {"budget": 10}}, diversity={"weight": 0.1})
    rollouts = [right("x y z answer: red", length=5), right("answer: red", length=15), right("no", length=2)]
    g, got = modulated(s, rollouts, [1.0, 1.0, 0.0])
    assert g == pytest.approx([1.0 + 0.1, 1.0 + 0.1 - 0.2 * 2 / 3, 0.0])
    assert got.components["diversity"] == [1.0, 1.0, 0.0]


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 500)), min_size=2, max_size=10), st.floats(0, 0.99))
def test_a_right_reply_always_scores_above_a_wrong_one(replies: list[tuple[bool, int]], weight: float):
    s = suite(accuracy={}, conciseness={"weight": weight, "options": {"budget": 50}}, diversity={"weight": 0.5})
    scores = [float(good) for good, _ in replies]
    got, _ = modulated(s, [right(length=n) for _, n in replies], scores)
    for g, r in zip(got, scores, strict=True):
        assert g > 0 if r else g == 0


def test_schedules_move_weights():
    s = suite(accuracy={}, conciseness={"weight": 0.4, "schedule": {"kind": "linear", "start": 0, "end": 1}})
    assert [s.weights(p)["conciseness"] for p in (0.0, 0.5, 1.0)] == pytest.approx([0.0, 0.2, 0.4])


@pytest.mark.parametrize(
    ("rewards", "error", "message"),
    [
        ({"acuracy": {}}, RegistryError, "no reward 'acuracy'; did you mean 'accuracy'"),
        ({"accuracy": {"options": {"type": []}}}, RegistryError, "no option 'type'; did you mean 'types'"),
        ({"format": {}}, RewardError, "no task reward"),
        ({"accuracy": {}, "conciseness": {"weight": 1.0}}, RewardError, "keep their sum below 1"),
        (
            {"accuracy": {"schedule": {"kind": "linear", "start": 1, "end": -1}}},
            RewardError,
            "its schedule goes below 0",
        ),
    ],
)
def test_bad_recipes_are_refused(rewards: dict, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        suite(**rewards)


def test_a_group_reward_must_return_one_score_per_reply(temporary):
    @reward(name="lazy", role="modulator", scope="group")
    def lazy(group) -> list:
        return [None]

    with pytest.raises(RewardError, match=r"reward 'lazy'.*one Score or None per reply \(2 here\)"):
        suite(accuracy={}, lazy={}).score_groups([Group([right(), right()], [1.0, 1.0])])


def test_schedule_values():
    assert evaluate_schedule(0.3, 0.9) == 0.3
    assert evaluate_schedule(Constant(kind="constant", value=2.0), 0.5) == 2.0
    ramp = Ramp(kind="linear", start=0.5, end=0.0, begin=0.2, finish=0.6)
    assert [round(ramp.at(p), 6) for p in (0.0, 0.2, 0.4, 0.6, 1.0)] == [0.5, 0.5, 0.25, 0.0, 0.0]
    assert round(Ramp(kind="cosine", start=0.0, end=1.0).at(0.5), 6) == 0.5
    steps = Piecewise(kind="piecewise", points=[(0.25, 0.0), (0.5, 1.0), (0.75, 0.5)])
    assert [round(steps.at(p), 6) for p in (0.0, 0.25, 0.375, 0.5, 0.625, 1.0)] == [0.0, 0.0, 0.5, 1.0, 0.75, 0.5]
    assert [compute_progress(s, 5) for s in (1, 3, 5, 9)] == [0.0, 0.5, 1.0, 1.0]
    assert compute_progress(1, 1) == 0.0


def test_bad_schedules_are_refused():
    with pytest.raises(ValidationError, match="must lie before finish"):
        Ramp(kind="linear", start=0, end=1, begin=0.5, finish=0.5)
    with pytest.raises(ValidationError, match="increasing shares"):
        Piecewise(kind="piecewise", points=[(0.5, 0), (0.1, 1)])
