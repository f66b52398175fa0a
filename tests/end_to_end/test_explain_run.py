"""``mindgpt explain`` on the rollouts that this run's RL stage really recorded, with faults planted in its recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mindgpt_plugins.rewards import recorded
from mindgpt_plugins.rewards.recorded import Recorded
from mindgpt_plugins.rewards.sdk import Rollout, Score, reward
from mindgpt_plugins.workbench.explain.explain import explain_rollouts
from mindgpt_plugins.workbench.explain.setup import Setup, read_recipe_setup
from mindgpt_plugins.workbench.report.run import load_run

pytestmark = pytest.mark.e2e


@reward(role="modulator")
def planted_manners(r: Rollout, *, floor: float = 0.9, patience: int = 3) -> Score:
    """Saturated: next to every reply gets all of it; ``patience`` is read by nobody."""
    return Score(1.0 if len(r.text) < 200 else floor)


@pytest.fixture(scope="module")
def stage(run: Path) -> Path:
    return next(s.folder for s in load_run(run).stages if s.kind == "rl")


@pytest.fixture(scope="module")
def setup(stage: Path) -> Setup:
    return read_recipe_setup(str(stage / "stage.json"))


@pytest.fixture(scope="module")
def replies(stage: Path, setup: Setup) -> list[Recorded]:
    return recorded.read_recorded_rollouts(stage / "rollouts", total_steps=setup.steps)


def planted(setup: Setup, rewards: dict[str, Any]) -> Setup:
    data = setup.plain()
    return setup.changed(data | {"rewards": data["rewards"] | rewards})


def test_every_recorded_advantage_comes_out_again(setup: Setup, replies: list[Recorded]) -> None:
    found = explain_rollouts(replies, setup, look=500)["record"]
    assert found["advantage"]["replies"] == len(replies) > 1000
    assert found["advantage"]["differs"] == 0 and found["differs"] == {}
    assert found["beyond"] == 0 and found["guessed"] == {}


def test_a_dead_parameter_and_a_saturated_reward_are_found(setup: Setup, replies: list[Recorded]) -> None:
    manners = {"planted_manners": {"weight": 0.1, "options": {"patience": 5}}}
    found = explain_rollouts(replies, planted(setup, manners))
    verdicts = {r["name"]: r["verdict"] for r in found["rewards"]}
    assert verdicts["planted_manners"] == "saturated" and verdicts["accuracy"] == "ok"
    rows = {row["path"]: row for row in found["parameters"]}
    assert rows["rewards.planted_manners.options.patience"]["dead"]
    assert not rows["advantage.k"]["dead"] and not rows["rewards.conciseness.options.budget"]["dead"]
    assert found["exchange"]["end"]["low"] < found["exchange"]["end"]["rate"] < found["exchange"]["end"]["high"]
    assert sum(row["groups"] for row in found["by_right"]["rows"]) == found["groups"]


def test_an_order_flip_is_found(setup: Setup, replies: list[Recorded]) -> None:
    heavier = planted(setup, {"conciseness": {"weight": 0.6, "options": {"budget": 16}}})
    flips = explain_rollouts(replies, setup, heavier, look=500)["flips"]
    assert flips["flipped"] > 0 and flips["kinds"]["right"] == flips["flipped"]  # right ones trade places by length
    for example in flips["examples"]:
        a, b = sorted(example["replies"], key=lambda r: r["tokens"])
        assert a["A"] < b["A"] and a["A_against"] > b["A_against"]
