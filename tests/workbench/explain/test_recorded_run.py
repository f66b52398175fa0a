"""What a line records besides its text: advantage, perception weight, filter, step."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from mindgpt_plugins.advantage.config import AdvantageConfig
from mindgpt_plugins.rewards import recorded
from mindgpt_plugins.rewards.recorded import RecordedError
from mindgpt_plugins.rewards.suite import RewardConfig, Suite
from mindgpt_plugins.verl_ext.step.hybrid import Hybrid
from mindgpt_plugins.verl_ext.step.scored_reply import ScoredReply
from mindgpt_plugins.workbench.explain.board import RolloutBatch
from mindgpt_plugins.workbench.explain.explain import explain_rollouts
from mindgpt_plugins.workbench.explain.replay import replay_recipe
from mindgpt_plugins.workbench.explain.setup import Setup
from mindgpt_plugins.workbench.explain.words import list_reader_notes

STEPS, N = 5, 4
FILTER = {"k": 2, "filter": {"epsilon": 1e-6, "keep_all_correct": 0.25}}


def setup_of(advantage: dict[str, Any] | None = None, *, perception: bool = True, steps: int = STEPS) -> Setup:
    rewards = {"accuracy": RewardConfig(), "conciseness": RewardConfig(weight=0.2, options={"budget": 16})}
    return Setup("test", rewards, AdvantageConfig.model_validate(advantage or FILTER), steps, perception)


def run(path: Path, setup: Setup, seed: int = 0) -> list[dict[str, Any]]:
    """Rollouts as the trainer records them, α included."""
    rng, hybrid, rows = random.Random(seed), Hybrid(Suite(setup.rewards), setup.advantage), []
    for step in range(1, STEPS + 1):
        own = []
        for g in range(10):
            ease = rng.choice((0.0, 0.5, 1.0))
            for session in range(N):
                words = " ".join(["red"] * rng.randint(0, 9))
                said = "car" if rng.random() < ease else "bus"
                row = {"text": f"{words} answer: {said}", "target": "car", "uid": f"p{g}", "step": step}
                row |= {"group": f"s{step}p{g}", "session": session, "tokens": len(words.split()) + 2}
                own.append({**row, "type": "verifiable", "answer_type": "text"})
        path.write_text("".join(json.dumps(row) + "\n" for row in own))
        replies = []
        for i, one in enumerate(recorded.read_recorded_rollouts(path, total_steps=STEPS)):
            scores = hybrid.suite.score_sample(one.rollout)
            replies.append(ScoredReply(one.group, i, one.rollout, scores.score, scores.components, scores.log))
        alpha = [rng.uniform(0.5, 1.5) for _ in own]
        found = hybrid.run(replies, alpha=alpha)
        for row, a, weight, dropped in zip(own, found.advantages, alpha, found.dropped, strict=True):
            rows.append({**row, "advantage": a, "alpha": weight, "dropped": dropped, "metrics": found.metrics})
    return rows


def read(path: Path, rows: list[dict[str, Any]]) -> list[recorded.Recorded]:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return recorded.read_recorded_rollouts(path, total_steps=STEPS)


@pytest.fixture
def rows(tmp_path: Path) -> list[dict[str, Any]]:
    return run(tmp_path / "step.jsonl", setup_of())


def test_recorded_perception_weights_and_the_filter_are_replayed(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    lines = read(tmp_path / "all.jsonl", rows)
    found = explain_rollouts(lines, setup_of())
    assert found["record"]["advantage"] == {
        "replies": len(rows),
        "differs": 0,
        "largest": pytest.approx(0.0, abs=1e-9),
    }
    assert found["record"]["dropped"] == {
        "replies": len(rows),
        "recorded": sum(row["dropped"] for row in rows),
        "differs": 0,
    }
    assert any(row["dropped"] and row["advantage"] for row in rows)  # an all-correct group that lost the draw
    made = replay_recipe(setup_of(), RolloutBatch.of(lines))
    place = {id(one): row for one, row in zip(lines, rows, strict=True)}
    for p, a in zip(made.board.places[made.board.mask].tolist(), made.trained[made.board.mask].tolist(), strict=True):
        row = place[id(made.board.recorded[p])]
        assert a == pytest.approx(0.0 if row["dropped"] else row["advantage"], abs=1e-12)
    assert any("recorded advantages came out again" in note for note in list_reader_notes(found))
    share = found["shares"]["parts"]["perception α"]["share"]
    steps = {row["step"]: row["metrics"] for row in rows}
    logged = [metrics["advantage/share/alpha"] for metrics in steps.values()]
    assert min(logged) <= share <= max(logged)


def test_a_recipe_without_perception_leaves_the_weights_and_says_so(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    found = explain_rollouts(read(tmp_path / "all.jsonl", rows), setup_of(perception=False))
    assert found["record"]["advantage"]["differs"] > 20 and "perception α" not in found["shares"]["parts"]
    told = list_reader_notes(found)
    assert any("no `perception`: not used" in note for note in told)
    assert any("advantages are not the recorded ones" in note for note in told)


def test_a_recipe_with_perception_on_lines_without_weights_says_so(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    bare = [{k: v for k, v in row.items() if k not in ("alpha", "advantage", "dropped")} for row in rows]
    found = explain_rollouts(read(tmp_path / "all.jsonl", bare), setup_of())
    assert found["record"]["advantage"] is found["record"]["dropped"] is None
    assert any(f"{len(rows)} lines have no alpha" in note for note in list_reader_notes(found))


def test_another_filter_is_counted_against_the_recorded_one(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    found = explain_rollouts(
        read(tmp_path / "all.jsonl", rows), setup_of({"k": 2, "filter": {"keep_all_correct": 1.0}})
    )
    lost = sum(row["dropped"] and any(r["advantage"] for r in rows if r["group"] == row["group"]) for row in rows)
    assert found["record"]["dropped"]["differs"] == lost > 0
    assert any(f"filter decides otherwise than recorded on {lost} replies" in note for note in list_reader_notes(found))


def test_steps_beyond_the_recipes_run_and_lines_without_a_step_are_told(
    tmp_path: Path, rows: list[dict[str, Any]]
) -> None:
    found = explain_rollouts(read(tmp_path / "all.jsonl", rows), setup_of(steps=3))
    assert found["record"]["beyond"] == 2 * 10 * N
    assert any("80 lines are of a step after the recipe's last" in note for note in list_reader_notes(found))
    for row in rows[:8]:
        del row["step"]
    told = list_reader_notes(explain_rollouts(read(tmp_path / "all.jsonl", rows), setup_of()))
    assert any("8 lines have no step: taken as the first" in note for note in told)
    assert any("200 replies are few" in note and "1.5 % of others" in note for note in told)


@pytest.mark.parametrize("value", ["high", True, float("nan")])
def test_an_advantage_that_is_no_number_is_named(tmp_path: Path, value: Any) -> None:
    with pytest.raises(RecordedError, match=r"r\.jsonl:1: advantage is .*; a finite number, or leave it out"):
        read(tmp_path / "r.jsonl", [{"text": "a", "target": "b", "advantage": value}])


def test_the_exchange_rate_carries_an_interval_that_narrows_with_groups(tmp_path: Path) -> None:
    few = explain_rollouts(read(tmp_path / "a.jsonl", run(tmp_path / "s.jsonl", setup_of())), setup_of())["exchange"][
        "end"
    ]
    rows = [
        {**row, "group": f"{seed}{row['group']}"}
        for seed in range(8)
        for row in run(tmp_path / "s.jsonl", setup_of(), seed)
    ]
    many = explain_rollouts(read(tmp_path / "b.jsonl", rows), setup_of())["exchange"]["end"]
    for found in (few, many):
        assert found["low"] < found["rate"] < found["high"]
    assert many["high"] - many["low"] < 0.6 * (few["high"] - few["low"])
    one = explain_rollouts(read(tmp_path / "c.jsonl", rows[:N]), setup_of())["exchange"]["end"]
    assert one["low"] is one["high"] is None
