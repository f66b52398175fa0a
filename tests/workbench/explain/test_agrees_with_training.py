"""Random recipes on random replies: what a run computes and what ``mindgpt explain`` replays is the same."""

from __future__ import annotations

import hashlib
import logging
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mindgpt_plugins.advantage.config import AdvantageConfig
from mindgpt_plugins.core.schedule import compute_progress
from mindgpt_plugins.rewards.recorded import Recorded
from mindgpt_plugins.rewards.sdk import Group, Rollout, reward
from mindgpt_plugins.rewards.suite import RewardConfig, Suite
from mindgpt_plugins.verl_ext.step.hybrid import Hybrid
from mindgpt_plugins.verl_ext.step.scored_reply import ScoredReply
from mindgpt_plugins.workbench.explain.algebra import compute_batch_advantages
from mindgpt_plugins.workbench.explain.board import RolloutBatch
from mindgpt_plugins.workbench.explain.replay import replay_recipe
from mindgpt_plugins.workbench.explain.setup import Setup

STEPS = 3


def drawn(r: Rollout, name: str, seed: int) -> float:
    """In [0, 1), by the reply and the reward's seed."""
    digest = hashlib.blake2b(f"{name} {seed} {r.uid} {r.text}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") / 2**32


@reward
def drawn_right(r: Rollout, *, seed: int = 0) -> float:
    return float(drawn(r, "right", seed) < 0.5)


@reward
def drawn_grade(r: Rollout, *, seed: int = 0) -> float | None:
    value = drawn(r, "grade", seed)
    return None if value < 0.3 else value


@reward(signed=True)
def drawn_signed(r: Rollout, *, seed: int = 0) -> float:
    return 2.0 * drawn(r, "signed", seed) - 1.0


@reward(role="gate")
def drawn_gate(r: Rollout, *, seed: int = 0) -> float:
    return float(drawn(r, "gate", seed) < 0.8)


@reward(role="modulator")
def drawn_bonus(r: Rollout, *, seed: int = 0) -> float | None:
    value = drawn(r, "bonus", seed)
    return None if value < 0.2 else value


@reward(role="modulator", penalty=True)
def drawn_penalty(r: Rollout, *, seed: int = 0) -> float:
    if drawn(r, "penalty", seed) < 0.1:
        raise ValueError("no")
    return drawn(r, "penalty", seed)


@reward(role="modulator", scope="group", penalty=True)
def drawn_rank(group: Group, *, seed: int = 0) -> list[float | None]:
    top = max(drawn(r, "rank", seed) for r in group.rollouts)
    values = zip(group.rollouts, group.correct, strict=True)
    return [drawn(r, "rank", seed) / top * (0.5 + group.share_correct / 2) if good else None for r, good in values]


@st.composite
def recipes(draw: Any) -> Setup:
    seed, strength = st.integers(0, 3), st.sampled_from([0.1, 0.3, 0.7, 1.0, 1.3])
    schedule = st.none() | st.fixed_dictionaries(
        {"kind": st.just("linear"), "start": st.sampled_from([0.2, 1.0]), "end": st.sampled_from([0.0, 0.7])}
    )

    def config(weight: st.SearchStrategy[float], **fixed: Any) -> dict[str, Any]:
        return {"weight": draw(weight), "options": {"seed": draw(seed)}, **fixed}

    # One task scores everything at every time: a reply that nothing scores stops a run.
    rewards = {"drawn_right": config(strength)}
    for name in draw(st.sets(st.sampled_from(["drawn_grade", "drawn_signed", "drawn_gate", "drawn_bonus"]))):
        when = draw(st.sampled_from([{}, {"type": "verifiable"}, {"type": "adversarial"}]))
        rewards[name] = config(strength, schedule=draw(schedule), when=when)
    penalty = st.sampled_from([0.0, 0.1, 0.45])
    for name in draw(st.sets(st.sampled_from(["drawn_penalty", "drawn_rank"]))):
        rewards[name] = config(penalty, schedule=draw(schedule), on_error="none")
    rewards = {name: rewards[name] for name in draw(st.permutations(list(rewards)))}
    names = ["modulated", "grpo", "dr_grpo", "gdpo", "reward_sum", "pass_at_k", "pass_at_k_analytic", "grpo_passk"]
    advantage = {"name": draw(st.sampled_from(names)), "k": draw(st.integers(1, 4))}
    advantage["lambda"] = draw(st.sampled_from([0.0, 0.4, {"kind": "linear", "start": 0.8, "end": 0.1}]))
    advantage["filter"] = draw(st.sampled_from([None, {"epsilon": 0.01, "keep_all_correct": 0.4}]))
    configs = {name: RewardConfig.model_validate(value) for name, value in rewards.items()}
    return Setup("drawn", configs, AdvantageConfig.model_validate(advantage), STEPS)


@st.composite
def rollouts(draw: Any) -> list[Recorded]:
    found = []
    for step in range(1, STEPS + 1):
        for g in range(draw(st.integers(2, 4))):
            kind = draw(st.sampled_from(["verifiable", "verifiable", "adversarial"]))
            for session in range(draw(st.integers(1, 5))):
                text, length = f"{step} {g} {session} {draw(st.integers(0, 9))}", draw(st.integers(1, 50))
                rollout = Rollout(
                    text, "x", type=kind, uid=f"p{g}", length=length, step=step, progress=compute_progress(step, STEPS)
                )
                found.append(Recorded(rollout, f"s{step}p{g}", {}, ()))
    return found


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(setup=recipes(), recorded=rollouts())
@pytest.mark.filterwarnings("ignore")
def test_a_run_and_its_replay_agree(setup: Setup, recorded: list[Recorded]) -> None:
    logging.getLogger("mindgpt_plugins.rewards.suite").setLevel(logging.ERROR)
    hybrid = Hybrid(Suite(setup.rewards), setup.advantage)
    made = replay_recipe(setup, RolloutBatch.of(recorded))
    changed = {name: compute_batch_advantages(setup, made.board, made.scores.without(name)) for name in setup.rewards}
    for number, rows in enumerate(made.board.steps(), start=1):
        own = [one for one in recorded if one.rollout.step == number]
        replies = []
        for i, one in enumerate(own):
            said = hybrid.suite.score_sample(one.rollout)
            replies.append(ScoredReply(one.group, i, one.rollout, said.score, said.components, said.log))
        step = hybrid.run(replies)
        mask = made.board.mask[rows]
        # Replies of a group follow each other here, so that flat lists are in the board's order.
        assert made.scores.raw[rows][mask].tolist() == [reply.score for reply in replies]
        assert made.scores.modulated[rows][mask].tolist() == step.modulated
        for name, values in made.scores.components.items():
            want = [math.nan if one[name] is None else one[name] for one in step.components]
            assert values[rows][mask].tolist() == pytest.approx(want, abs=0.0, rel=0.0, nan_ok=True)
        assert made.weighted[rows][mask].tolist() == pytest.approx(step.advantages, abs=1e-12)
        trained = [0.0 if out else a for out, a in zip(step.dropped, step.advantages, strict=True)]
        assert made.trained[rows][mask].tolist() == pytest.approx(trained, abs=1e-12)
        push = float(made.advantage[rows].abs().sum())
        for name, other in changed.items():
            share = float((made.advantage - other)[rows].abs().sum()) / push if push else 0.0
            assert share == pytest.approx(step.metrics[f"advantage/share/{name}"], rel=1e-9, abs=1e-9)
