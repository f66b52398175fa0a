"""Four steps (1, 30, 60, 90) of the dump that a real quickstart run left, with faults planted in the recipe."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from mindgpt_plugins.rewards import recorded
from mindgpt_plugins.rewards.recorded import Recorded
from mindgpt_plugins.rewards.sdk import Rollout, Score, reward
from mindgpt_plugins.workbench.explain.board import RolloutBatch
from mindgpt_plugins.workbench.explain.explain import explain_rollouts
from mindgpt_plugins.workbench.explain.replay import replay_recipe
from mindgpt_plugins.workbench.explain.setup import Setup, read_recipe_setup


@reward(role="modulator")
def planted_politeness(r: Rollout, *, floor: float = 0.9, patience: int = 3) -> Score:
    """Saturated: next to every reply gets all of it; ``patience`` is read by nobody."""
    return Score(1.0 if len(r.text) < 200 else floor)


@pytest.fixture(scope="module")
def raw() -> str:
    return gzip.decompress((Path(__file__).parent / "quickstart_rollouts.jsonl.gz").read_bytes()).decode()


@pytest.fixture(scope="module")
def replies(raw: str, tmp_path_factory: pytest.TempPathFactory) -> list[Recorded]:
    path = tmp_path_factory.mktemp("quickstart") / "rollouts.jsonl"
    path.write_text(raw)
    return recorded.read_recorded_rollouts(path, total_steps=90)


def planted(rewards: dict[str, Any]) -> Setup:
    setup = read_recipe_setup("quickstart")
    data = setup.plain()
    return setup.changed(data | {"rewards": data["rewards"] | rewards})


def test_the_recorded_advantages_come_out_again(raw: str, replies: list[Recorded]) -> None:
    wanted = {(d["group"], d["session"]): d["advantage"] for d in map(json.loads, raw.splitlines())}
    session = {id(one): d["session"] for one, d in zip(replies, map(json.loads, raw.splitlines()), strict=True)}
    made = replay_recipe(read_recipe_setup("quickstart"), RolloutBatch.of(replies), "missing")
    places = made.board.places[made.board.mask].tolist()
    for place, advantage in zip(places, made.advantage[made.board.mask].tolist(), strict=True):
        one = made.board.recorded[place]
        assert advantage == pytest.approx(wanted.pop((one.group, session[id(one)])), abs=1e-12)
    assert not wanted


def test_planted_faults_are_found(replies: list[Recorded]) -> None:
    setup = planted({"planted_politeness": {"weight": 0.1, "options": {"patience": 5}}})
    found = explain_rollouts(replies, setup)
    verdicts = {r["name"]: r["verdict"] for r in found["rewards"]}
    assert verdicts["planted_politeness"] == "saturated" and verdicts["accuracy"] == "ok"
    rows = {row["path"]: row for row in found["parameters"]}
    assert rows["rewards.planted_politeness.options.patience"]["dead"]
    assert not rows["advantage.k"]["dead"] and not rows["rewards.conciseness.options.budget"]["dead"]
    shares = found["shares"]["parts"]
    assert shares["planted_politeness"]["share"] > 0  # saturated, yet it widens the gap between right and wrong


def test_a_planted_order_flip_is_found(replies: list[Recorded]) -> None:
    heavier = planted({"conciseness": {"weight": 0.6, "options": {"budget": 16}}})
    found = explain_rollouts(replies, read_recipe_setup("quickstart"), heavier)["flips"]
    assert found["flipped"] > 0 and found["kinds"]["right"] == found["flipped"]  # right ones trade places by length
    for example in found["examples"]:
        longer = max(example["replies"], key=lambda r: r["tokens"])
        shorter = min(example["replies"], key=lambda r: r["tokens"])
        assert longer["A"] > shorter["A"] and longer["A_against"] < shorter["A_against"]
