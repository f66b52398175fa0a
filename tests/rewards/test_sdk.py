import math

import pytest

from mindgpt_plugins.core import registry
from mindgpt_plugins.core.registry import RegistryError
from mindgpt_plugins.rewards.sdk import (
    Group,
    RewardError,
    Rollout,
    Score,
    check_reward_result,
    find_reward_spec,
    reward,
)


@pytest.fixture(autouse=True)
def _forget_what_tests_register():
    before = dict(registry._registered)
    yield
    registry._registered.clear()
    registry._registered.update(before)


def test_the_decorator_registers_with_role_and_scope():
    @reward(name="brief", role="modulator", scope="group", penalty=True)
    def short(group: Group, *, budget: int = 8) -> list[Score | None]:
        return [None] * len(group.rollouts)

    assert registry.get_registered("reward", "brief") is short
    spec = find_reward_spec("brief", short)
    assert (spec.role, spec.scope, spec.penalty) == ("modulator", "group", True)


def test_without_parentheses_the_function_name_counts():
    @reward
    def unit_match(r: Rollout) -> float:
        return 1.0

    assert registry.get_registered("reward", "unit_match") is unit_match


def test_options_must_be_keyword_only():
    with pytest.raises(RegistryError, match=r"keyword-only.*it takes: r, tolerance"):

        @reward
        def wrong(r: Rollout, tolerance: float = 0.1) -> float:
            return 1.0


def test_a_built_in_name_is_taken():
    with pytest.raises(RegistryError, match="'accuracy' is (built in|registered twice)"):

        @reward(name="accuracy")
        def mine(r: Rollout) -> float:
            return 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"role": "judge"}, "role is task, gate or modulator"),
        ({"scope": "batch"}, "scope sample or group"),
        ({"role": "task", "scope": "group"}, "scope 'group' is for role 'modulator'"),
        ({"role": "gate", "penalty": True}, "penalty=True is for modulators"),
    ],
)
def test_meaningless_combinations_are_refused(arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        reward(name="x", **arguments)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "1", [1.0], 1.5, -0.1])
def test_unusable_values_name_the_reward_and_the_sample(value: object):
    @reward(name="odd")
    def odd(r: Rollout) -> object:
        return value

    rollout = Rollout(text="a reply", target="x", uid="row-7")
    with pytest.raises(RewardError, match=r"reward 'odd', sample 'row-7' \(reply 'a reply'\)"):
        check_reward_result(find_reward_spec("odd", odd), Score(value), rollout)  # type: ignore[arg-type]


def test_a_gate_is_zero_or_one_and_adversarial_tasks_may_be_negative():
    @reward(name="half_gate", role="gate")
    def half_gate(r: Rollout) -> float:
        return 0.5

    @reward(name="harsh")
    def harsh(r: Rollout) -> float:
        return -1.0

    with pytest.raises(RewardError, match="must return 0 or 1"):
        check_reward_result(find_reward_spec("half_gate", half_gate), 0.5, Rollout("", ""))
    assert check_reward_result(find_reward_spec("harsh", harsh), -1.0, Rollout("", "", type="adversarial")) == Score(
        -1.0
    )
    assert check_reward_result(find_reward_spec("harsh", harsh), None, Rollout("", "")) is None


def test_an_undecorated_reward_is_refused():
    with pytest.raises(RewardError, match="write `@reward`"):
        find_reward_spec("plain", lambda r: 1.0)


def test_images_are_absent_in_group_scope():
    with pytest.raises(RewardError, match="use a reward of scope 'sample'"):
        Rollout("", "", uid="u").images()
    assert Rollout("", "", load_images=lambda: ["picture"]).images() == ["picture"]
