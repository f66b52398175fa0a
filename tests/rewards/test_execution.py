import asyncio
import math
import threading
from collections.abc import Callable

import pytest
from pydantic import ValidationError

from mindgpt_plugins.core import registry
from mindgpt_plugins.rewards.sdk import Group, RewardError, Rollout, Score, reward
from mindgpt_plugins.rewards.suite import RewardConfig, Suite


@pytest.fixture(autouse=True)
def _forget_what_tests_register():
    before = dict(registry._registered)
    yield
    registry._registered.clear()
    registry._registered.update(before)


def suite(**rewards: dict) -> Suite:
    return Suite({name: RewardConfig.model_validate(config) for name, config in rewards.items()})


def right(text: str = "answer: red", **fields) -> Rollout:
    return Rollout(text, "red", uid="row-7", **fields)


async def until(happened: Callable[[], bool]) -> None:
    """Waits for another call that is under way at the same time; one after the other they would wait for ever."""
    async with asyncio.timeout(60):
        while not happened():
            await asyncio.sleep(0.001)


def test_async_rewards_run_side_by_side():
    begun: list[str] = []

    @reward
    async def slow_a(r: Rollout) -> float:
        begun.append("a")
        await until(lambda: len(begun) == 2)
        return 1.0

    @reward
    async def slow_b(r: Rollout) -> Score:
        begun.append("b")
        await until(lambda: len(begun) == 2)
        return Score(0.0, log={"seen": r.uid})

    s = suite(slow_a={}, slow_b={}, accuracy={"weight": 2.0})
    got = s.score_sample(right())
    assert (got.components, got.score) == ({"slow_a": 1.0, "slow_b": 0.0, "accuracy": 1.0}, 0.75)
    assert got.log["slow_b.seen"] == "row-7"


def test_many_samples_share_a_bounded_number_of_slots():
    running = [0, 0]

    @reward
    async def busy(r: Rollout) -> float:
        running[0] += 1
        running[1] = max(running)
        await asyncio.sleep(0.01)
        running[0] -= 1
        return 1.0

    s = suite(busy={"concurrency": 3})

    async def all_of_them() -> list:
        return await asyncio.gather(*(s.score_sample_async(right()) for _ in range(20)))

    assert [got.score for got in asyncio.run(all_of_them())] == [1.0] * 20
    assert running[1] == 3


@pytest.mark.parametrize("is_async", [False, True])
def test_a_timeout_names_reward_sample_and_limit(is_async: bool):
    over = threading.Event()
    finished: list[bool] = []

    if is_async:

        @reward
        async def stuck(r: Rollout) -> float:
            await asyncio.sleep(600)
            finished.append(True)
            return 1.0
    else:

        @reward
        def stuck(r: Rollout) -> float:
            over.wait(600)
            finished.append(True)
            return 1.0

    with pytest.raises(
        RewardError, match=r"'stuck', sample 'row-7' \(reply 'answer: red'\): raised TimeoutError.*0.1 s"
    ):
        suite(stuck={"timeout": 0.1}).score_sample(right())
    assert not finished
    over.set()


def test_a_reward_with_time_to_spare_is_unchanged():
    assert suite(accuracy={"timeout": 30}).score_sample(right()).score == 1.0


def test_a_raising_reward_stops_with_the_sample_and_the_cause():
    @reward
    def broken(r: Rollout) -> float:
        return 1 / 0

    with pytest.raises(
        RewardError, match=r"'broken', sample 'row-7' \(reply 'answer: red'\): raised ZeroDiv"
    ) as caught:
        suite(broken={}, accuracy={}).score_sample(right())
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("outcome", [math.nan, math.inf, "1", [1.0], 7.0, ZeroDivisionError("x")])
def test_on_error_none_does_not_score_and_tells(outcome: object, caplog: pytest.LogCaptureFixture):
    @reward
    def odd(r: Rollout) -> object:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    got = suite(odd={"on_error": "none", "weight": 3.0}, accuracy={}).score_sample(right())
    assert (got.score, got.components["odd"]) == (1.0, None)
    assert "sample 'row-7'" in got.log["odd.error"] and "sample 'row-7'" in caplog.text


def test_nothing_left_to_score_with_is_an_error_even_then():
    @reward
    def broken(r: Rollout) -> float:
        raise OSError("no server")

    with pytest.raises(RewardError, match="no task reward scored sample 'row-7'"):
        suite(broken={"on_error": "none"}).score_sample(right())


def test_group_rewards_may_be_async_and_may_fail():
    begun: list[bool] = []

    @reward(role="modulator", scope="group")
    async def together(group: Group, *, fail: bool = False) -> list[Score | None]:
        begun.append(True)
        await until(lambda: len(begun) >= 8)
        if fail:
            raise ValueError("no embeddings")
        return [Score(0.5) for _ in group.rollouts]

    group = Group([right(), right()], [1.0, 0.0])
    many = suite(accuracy={}, together={"weight": 0.2}).score_groups([group] * 8)
    assert all(one.components == {"together": [0.5, 0.5]} for one in many)
    failing = {"options": {"fail": True}}
    with pytest.raises(RewardError, match="'together', sample 'row-7'.*raised ValueError: no embeddings"):
        suite(accuracy={}, together=failing).score_groups([group])
    (got,) = suite(accuracy={}, together=failing | {"on_error": "none"}).score_groups([group])
    assert got.components == {"together": [None, None]} and "no embeddings" in got.log[1]["together.error"]


@pytest.mark.parametrize(
    ("when", "fits"),
    [
        ({}, True),
        ({"type": "verifiable"}, True),
        ({"type": ["open", "adversarial"]}, False),
        ({"answer_type": ["number", "text"], "source": "chart_*"}, True),
        ({"answer_type": "text", "source": "photo"}, False),
    ],
)
def test_prompts_are_routed(when: dict, fits: bool):
    @reward
    def always(r: Rollout) -> float:
        return 0.0

    got = suite(always={"when": when}, accuracy={}).score_sample(right(source="chart_bar"))
    assert (got.components["always"], got.score) == ((0.0, 0.5) if fits else (None, 1.0))


def test_a_gate_for_other_prompts_stays_open_and_a_modulator_silent():
    s = suite(accuracy={}, format={"when": {"type": "open"}}, diversity={"weight": 0.5, "when": {"source": "x"}})
    assert s.score_sample(right("answer: red\nbye")).score == 1.0
    (got,) = s.score_groups([Group([right("a b"), right("c d")], [1.0, 1.0])])
    assert got.components == {"diversity": [None, None]}
    assert s.combine([{"diversity": None}] * 2, [1.0, 1.0], 0.0).modulated.tolist() == [1.0, 1.0]


def test_one_reward_may_be_there_twice():
    @reward
    def at_least(r: Rollout, *, words: int) -> float:
        return float(len(r.text.split()) >= words)

    two = {
        "one": {"reward": "at_least", "options": {"words": 1}},
        "ten": {"reward": "at_least", "options": {"words": 9}},
    }
    assert suite(**two).score_sample(right()).components == {"one": 1.0, "ten": 0.0}


def test_a_closed_gate_keeps_a_signed_punishment():
    @reward(signed=True)
    def stern(r: Rollout) -> float:
        return -0.25

    assert suite(stern={}, format={}).score_sample(right("no")).score == -0.25


@pytest.mark.parametrize(
    "bad", [{"when": {"sources": ["x"]}}, {"timeout": 0}, {"on_error": "zero"}, {"concurrency": 0}]
)
def test_bad_entries_are_refused(bad: dict):
    with pytest.raises(ValidationError):
        RewardConfig.model_validate(bad)


@pytest.mark.parametrize(
    ("rewards", "message"),
    [
        ({"overlong": {"options": {"limit": 9}}}, "'overlong' needs soft: set them under its `options:`"),
        ({"judge": {}}, "'judge' needs endpoints"),
        ({"conciseness": {"options": {"budget": "lots"}}}, "option 'budget': 'lots' does not fit.*valid integer"),
        ({"accuracy": {"options": {"types": "verifiable"}}}, "option 'types': 'verifiable' does not fit.*tuple"),
    ],
)
def test_options_are_checked_before_anything_runs(rewards: dict, message: str):
    with pytest.raises(RewardError, match=message):
        suite(**{"accuracy": {}} | rewards)


def test_options_come_as_the_function_annotates_them():
    seen = []

    @reward
    def notes(r: Rollout, *, names: tuple[str, ...], share: float = 0.5, other=None) -> float:
        seen.append((names, share, other))
        return 1.0

    suite(notes={"options": {"names": ["a"], "share": 1, "other": {"x": 1}}}).score_sample(right())
    assert seen == [(("a",), 1.0, {"x": 1})] and isinstance(seen[0][1], float)
