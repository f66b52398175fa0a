"""Guards on sequences of numbers."""

from __future__ import annotations

import math
import random

import pytest

from mindgpt_plugins.guards.config import LossGuard, RolloutGuard
from mindgpt_plugins.guards.watch import Alarm, LossWatch, RolloutWatch, find_unfinite_figure


def find_alarms(watch: LossWatch | RolloutWatch, lines: list[dict[str, float]]) -> list[tuple[int, Alarm]]:
    return [(step, alarm) for step, line in enumerate(lines, 1) for alarm in watch.observe(line)]


def draw_losses(steps: int, seed: int = 0) -> list[float]:
    """A curve as of a small batch: it falls, then scatters by a fifth of its value."""
    rng = random.Random(seed)
    return [(0.5 + 3 * math.exp(-step / 15)) * rng.lognormvariate(0, 0.2) for step in range(steps)]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_figure_that_is_not_finite_is_named(value: float) -> None:
    found = find_unfinite_figure({"lr": math.inf, "loss": 1.0, "grad_norm": value}, ("loss", "grad_norm"))
    assert found is not None and found[0] == "grad_norm" and (found[1] == value or math.isnan(value))


def test_finite_and_absent_figures_pass() -> None:
    assert find_unfinite_figure({"loss": 3, "entropy": math.nan, "grad_norm": None}, ("loss", "grad_norm")) is None
    assert find_unfinite_figure({"actor/loss": -0.5}, ("actor/loss",)) is None  # a policy loss may be negative


def test_a_negative_norm_is_deepspeeds_word_for_nan() -> None:
    assert find_unfinite_figure({"critic/grad_norm": -1.0}, ("critic/grad_norm",)) == ("critic/grad_norm", -1.0)


@pytest.mark.parametrize("seed", range(20))
def test_noise_of_a_small_batch_is_no_spike(seed: int) -> None:
    lines = [{"loss": loss} for loss in draw_losses(400, seed)]
    assert find_alarms(LossWatch(LossGuard()), lines) == []


def test_a_spike_is_found_where_it_begins_and_again_when_it_returns() -> None:
    losses = draw_losses(200)
    for step in (100, 101, 150):
        losses[step - 1] *= 20
    found = find_alarms(LossWatch(LossGuard(loss_spike="stop")), [{"loss": loss} for loss in losses])
    assert [(step, alarm.guard, alarm.action) for step, alarm in found] == [
        (100, "loss_spike", "stop"),
        (150, "loss_spike", "stop"),
    ]
    assert f"loss {losses[99]:.4g} is a spike" in found[0][1].text


def test_a_constant_loss_does_not_make_its_next_wobble_a_spike() -> None:
    lines = [{"loss": 0.2}] * 60 + [{"loss": 0.25}] + [{"loss": 0.2}] * 5
    assert find_alarms(LossWatch(LossGuard()), lines) == []


@pytest.mark.parametrize("guard", [LossGuard(loss_spike="ignore"), LossGuard(deviations=1e6)])
def test_a_spike_that_nobody_asks_about_is_silent(guard: LossGuard) -> None:
    assert find_alarms(LossWatch(guard), [{"loss": 1.0}] * 30 + [{"loss": 50.0}]) == []


def test_losses_at_the_start_and_lines_without_one_are_free() -> None:
    assert find_alarms(LossWatch(LossGuard()), [{"loss": 1.0}] * 19 + [{"loss": 99.0}]) == []
    lines = [{"loss": 1.0}, {"eval_loss": 99.0}] * 30
    assert find_alarms(LossWatch(LossGuard()), lines) == []


def rollout_line(push: float = 0.2, entropy: float = 2.0, tokens: float = 50.0) -> dict[str, float]:
    return {"advantage/abs_mean": push, "actor/entropy": entropy, "reply/tokens": tokens}


@pytest.mark.parametrize(
    ("guard", "odd", "said"),
    [
        ("reward_collapse", {"push": 0.0}, "no reply had an advantage for 5 steps"),
        ("entropy_collapse", {"entropy": 0.15}, "entropy 0.15 nats per token: below 0.1 of its start (2)"),
        ("length_explosion", {"tokens": 151.0}, "replies of 151 tokens: more than 3 times their start (50)"),
    ],
)
def test_each_collapse_counts_after_steps_in_a_row_and_once(guard: str, odd: dict[str, float], said: str) -> None:
    start, bad = [rollout_line()] * 5, rollout_line(**odd)
    watch = RolloutWatch(RolloutGuard.model_validate({"steps": 5, guard: "stop"}))
    assert find_alarms(watch, [*start, *[bad] * 4, rollout_line(), *[bad] * 4]) == []  # it recovered in between
    found = find_alarms(watch, [bad] * 9)
    assert [(step, alarm.guard, alarm.action) for step, alarm in found] == [(1, guard, "stop")]
    assert said in found[0][1].text
    assert find_alarms(watch, [rollout_line(), *[bad] * 5])[0][0] == 6


def test_a_collapse_can_be_ignored() -> None:
    watch = RolloutWatch(RolloutGuard(reward_collapse="ignore", entropy_collapse="ignore", length_explosion="ignore"))
    assert find_alarms(watch, [rollout_line()] * 10 + [rollout_line(0.0, 0.0, 9999.0)] * 30) == []


def test_a_run_without_entropy_is_not_accused_of_losing_it() -> None:
    watch = RolloutWatch(RolloutGuard())
    assert find_alarms(watch, [{"advantage/abs_mean": 0.2, "actor/entropy": math.nan}] * 40) == []
