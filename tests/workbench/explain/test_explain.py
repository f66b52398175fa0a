from __future__ import annotations

import json
import math
import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from mindgpt_plugins.advantage.config import AdvantageConfig
from mindgpt_plugins.cli import build_cli_app
from mindgpt_plugins.rewards import recorded
from mindgpt_plugins.rewards.recorded import Recorded
from mindgpt_plugins.rewards.sdk import Group, RewardError, Rollout, Score, reward
from mindgpt_plugins.rewards.suite import RewardConfig, Suite
from mindgpt_plugins.verl_ext.step.hybrid import Hybrid
from mindgpt_plugins.verl_ext.step.scored_reply import ScoredReply
from mindgpt_plugins.workbench.explain import page
from mindgpt_plugins.workbench.explain.algebra import compute_batch_advantages as computed
from mindgpt_plugins.workbench.explain.board import RolloutBatch, sample_rollout_steps
from mindgpt_plugins.workbench.explain.explain import explain_rollouts
from mindgpt_plugins.workbench.explain.replay import replay_other_recipe, replay_recipe
from mindgpt_plugins.workbench.explain.setup import Setup

STEPS, GROUPS, N = 4, 8, 6
WORDS = ["the", "sign", "is", "left", "of", "a", "red", "car", "and", "it", "travels", "on", "road", "or", "rail"]


@reward
def planted_half(r: Rollout, *, scale: float = 1.0, unused: float = 3.0) -> Score:
    """A task whose ``unused`` decides nothing."""
    return Score(scale * 0.5 if r.length % 2 else 0.0)


@reward(role="modulator")
def planted_full(r: Rollout) -> Score:
    """Always full."""
    return Score(1.0)


@reward(role="modulator", scope="group", penalty=True)
def planted_rank(group: Group, *, strength: float = 1.0) -> list[Score | None]:
    """The longer, the worse."""
    top = max(r.length for r in group.rollouts)
    return [Score(strength * r.length / top) for r in group.rollouts]


def lines(seed: int = 0, steps: int = STEPS) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    found = []
    for step in range(1, steps + 1):
        for g in range(GROUPS):
            ease = rng.random()
            for session in range(N if (step, g) != (1, 0) else N - 2):  # one ragged group
                words = rng.choices(WORDS, k=rng.randint(0, 12))
                answer = "car" if rng.random() < ease else rng.choice(["road", "rail", ""])
                text = " ".join([*words, f"answer: {answer}"]) if answer else "i do not know"
                found.append(
                    {"text": text, "target": "car", "prompt": f"question {g}?", "prompt_id": f"p{g}", "step": step,
                     "group": f"s{step}p{g}", "session": session, "tokens": len(text.split()) + 1, "type":
                     "adversarial" if g == 7 else "verifiable", "answer_type": "text", "source": "toy"}
                )  # fmt: skip
    return found


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def parsed(rows: list[dict[str, Any]], progress: float | None = 0.5, steps: int = 1) -> list[Recorded]:
    with tempfile.TemporaryDirectory() as folder:
        return recorded.read_recorded_rollouts(
            written(Path(folder) / "r.jsonl", rows), total_steps=steps, progress=progress
        )


def setup_of(rewards: dict[str, Any], advantage: dict[str, Any] | None = None, name: str = "test") -> Setup:
    configs = {key: RewardConfig.model_validate(value) for key, value in rewards.items()}
    return Setup(name, configs, AdvantageConfig.model_validate(advantage or {}), STEPS)


QUICKSTART = {
    "accuracy": {},
    "format": {},
    "conciseness": {"weight": 0.2, "options": {"budget": 16}, "schedule": {"kind": "linear", "start": 0, "end": 1}},
    "diversity": {"weight": 0.1, "schedule": {"kind": "linear", "start": 1.0, "end": 0.0}},
}


@pytest.fixture(scope="module")
def replies(tmp_path_factory: pytest.TempPathFactory) -> list[Recorded]:
    path = written(tmp_path_factory.mktemp("explain") / "rollouts.jsonl", lines())
    return recorded.read_recorded_rollouts(path, total_steps=STEPS)


def by_hybrid(setup: Setup, replies: list[Recorded]) -> tuple[dict[tuple[str, int], float], list[dict[str, float]]]:
    """Advantages as the trainer computes them, step by step."""
    hybrid = Hybrid(Suite(setup.rewards), setup.advantage)
    found, metrics = {}, []
    for step in range(1, STEPS + 1):
        own = [(i, one) for i, one in enumerate(replies) if one.rollout.step == step]
        batch = []
        for i, one in own:
            scores = hybrid.suite.score_sample(one.rollout)
            batch.append(ScoredReply(one.group, i, one.rollout, scores.score, scores.components, scores.log))
        result = hybrid.run(batch)
        metrics.append(result.metrics)
        for (i, one), advantage, dropped in zip(own, result.advantages, result.dropped, strict=True):
            found[one.group, i] = 0.0 if dropped else advantage
    return found, metrics


@pytest.mark.parametrize(
    ("rewards", "advantage"),
    [
        (QUICKSTART, {}),
        (QUICKSTART, {"filter": {"epsilon": 1e-6, "keep_all_correct": 0.25}}),
        ({**QUICKSTART, "planted_half": {"weight": 0.5, "when": {"type": "verifiable"}}}, {"name": "gdpo"}),
        ({**QUICKSTART, "refusal": {"when": {"type": "adversarial"}}}, {"name": "pass_at_k", "k": 3}),
    ],
)
def test_replay_gives_the_trainers_advantages(
    rewards: dict[str, Any], advantage: dict[str, Any], replies: list[Recorded]
) -> None:
    setup = setup_of(rewards, advantage)
    made = replay_recipe(setup, RolloutBatch.of(replies))
    wanted, metrics = by_hybrid(setup, replies)
    place = {id(one): i for i, one in enumerate(replies)}
    found = {
        (made.board.recorded[p].group, place[id(made.board.recorded[p])]): float(a)
        for p, a in zip(made.board.places[made.board.mask].tolist(), made.trained[made.board.mask], strict=True)
    }
    assert found.keys() == wanted.keys()
    assert max(abs(found[key] - wanted[key]) for key in wanted) < 1e-12
    for step, own in zip(made.board.steps(), metrics, strict=True):
        for name in rewards:
            changed = computed(setup, made.board, made.scores.without(name))
            total = float(made.advantage[step].abs().sum())
            share = float((made.advantage - changed)[step].abs().sum()) / total
            assert share == pytest.approx(own[f"advantage/share/{name}"], abs=1e-9), name


@pytest.mark.parametrize(
    "other",
    [
        {**QUICKSTART, "conciseness": {"weight": 0.4, "options": {"budget": 4}}},
        {**QUICKSTART, "accuracy": {"options": {"similarity": 0.5}}, "planted_rank": {"weight": 0.1}},
        {"planted_half": {}, "accuracy": {"weight": 0.3}, "conciseness": QUICKSTART["conciseness"]},
    ],
)
def test_what_is_reused_equals_a_replay_from_scratch(other: dict[str, Any], replies: list[Recorded]) -> None:
    base = replay_recipe(setup_of(QUICKSTART), RolloutBatch.of(replies))
    board = sample_rollout_steps(base.board, 90)
    assert 90 <= board.replies < len(replies)
    for own in (base.board, board):
        fresh, reused = replay_recipe(setup_of(other), own), replay_other_recipe(base, setup_of(other), own)
        assert torch.equal(fresh.advantage, reused.advantage)


def test_a_planted_dead_hyper_parameter_is_found(replies: list[Recorded]) -> None:
    found = explain_rollouts(
        replies, setup_of({**QUICKSTART, "planted_half": {"weight": 0.5, "options": {"unused": 2.0}}})
    )
    rows = {row["path"]: row for row in found["parameters"]}
    dead = rows["rewards.planted_half.options.unused"]
    assert dead["dead"] and dead["tried"] == [3.0, 1.0] and dead["replies"] == len(replies) and not dead["default"]
    alive = rows["rewards.planted_half.options.scale"]
    assert not alive["dead"] and alive["max_change"] > 0.01 and alive["default"]
    assert not rows["rewards.accuracy.weight"]["dead"]  # beside another task it counts
    assert rows["rewards.conciseness.options.budget"]["max_change"] > 0
    assert rows["rewards.accuracy.options.rel_tol"]["dead"]  # no numbers here
    assert "rewards.format.weight" not in rows


def test_why_a_parameter_is_dead(replies: list[Recorded]) -> None:
    rewards = {"accuracy": {}, "format": {"weight": 2.0}, "repetition": {"weight": 0.0}}
    found = explain_rollouts(replies, setup_of(rewards, {"name": "dr_grpo"}))
    why = {row["path"]: row["why"] for row in found["parameters"] if row["dead"]}
    assert "only task" in why["rewards.accuracy.weight"]
    assert "has no weight" in why["rewards.format.weight"]
    assert "does not use it" in why["advantage.k"] and "does not use it" in why["advantage.lambda.start"]
    assert "no effect" in why["rewards.repetition.options.ngram"]


def test_filter_and_schedule_parameters_are_tried(replies: list[Recorded]) -> None:
    points = {"kind": "piecewise", "points": [[0.0, 0.0], [0.5, 1.0]]}
    rewards = {**QUICKSTART, "conciseness": {"weight": 0.2, "options": {"budget": 16}, "schedule": points}}
    found = explain_rollouts(replies, setup_of(rewards, {"filter": {"keep_all_correct": 0.5}}))
    rows = {row["path"]: row for row in found["parameters"]}
    assert rows["rewards.conciseness.schedule.points.1.1"]["max_change"] > 0
    assert rows["advantage.lambda.start"]["max_change"] > 0
    assert rows["advantage.filter.epsilon"]["dead"]


def test_planted_silent_rewards_are_found(replies: list[Recorded]) -> None:
    rewards = {
        **QUICKSTART,
        "planted_full": {"weight": 0.1},
        "repetition": {"weight": 0.1},
        "fabrication": {"when": {"source": "nowhere"}},
    }
    found = {r["name"]: r for r in explain_rollouts(replies, setup_of(rewards))["rewards"]}
    verdicts = {name: r["verdict"] for name, r in found.items()}
    assert verdicts["planted_full"] == "saturated" and found["planted_full"]["most"] == 1.0
    assert verdicts["repetition"] == "never_fires"
    assert verdicts["fabrication"] == "never_scored"
    assert verdicts["accuracy"] == verdicts["conciseness"] == "ok"
    assert found["planted_full"]["flat"] == 1.0 and 0 < found["accuracy"]["flat"] < 1


def test_a_gate_that_is_always_open_and_a_reward_without_spread_are_found() -> None:
    rows = [
        {"text": "x answer: car", "target": "car", "group": f"g{g}", "tokens": 2 + g % 2, "answer_type": "text"}
        for g in range(10)
        for _ in range(4)
    ]
    data = explain_rollouts(parsed(rows), setup_of({"planted_half": {}, "format": {}}))
    verdicts = {r["name"]: r["verdict"] for r in data["rewards"]}
    assert verdicts == {"planted_half": "no_spread", "format": "never_fires"}
    assert data["order"]["no_signal"] == 10


def test_a_planted_order_flip_is_found(replies: list[Recorded]) -> None:
    flat = setup_of({"accuracy": {}}, {"name": "dr_grpo"})
    same = explain_rollouts(replies, flat, flat)["flips"]
    assert (same["flipped"], same["tied"], same["signs"]) == (0, 0, 0) and same["correlation"] == pytest.approx(1)
    up = setup_of({"accuracy": {}, "conciseness": {"weight": 0.2, "options": {"budget": 16}}}, {"name": "dr_grpo"})
    found = explain_rollouts(
        replies, up, setup_of({"accuracy": {}, "planted_rank": {"weight": 0.9}}, {"name": "dr_grpo"})
    )
    assert found["flips"]["flipped"] == 0  # both press on length
    long = setup_of({"planted_half": {}, "accuracy": {"weight": 0.1}}, {"name": "dr_grpo"}, "other")
    found = explain_rollouts(replies, up, long)["flips"]
    assert found["flipped"] > 0 and found["kinds"]["mixed"] > 0 and found["groups"] <= STEPS * GROUPS
    for example in found["examples"]:
        a, b = example["replies"]
        assert (a["A"] - b["A"]) * (a["A_against"] - b["A_against"]) < 0


def test_order_violations_within_one_recipe_are_found(replies: list[Recorded]) -> None:
    right = explain_rollouts(replies, setup_of(QUICKSTART))["order"]
    assert right["order"] == 0 and right["mixed"] > 10
    # A weighted sum of components, each normalised, has no order of right and wrong.
    summed = {"accuracy": {"weight": 0.05}, "planted_rank": {"weight": 0.9}}
    wrong = explain_rollouts(replies, setup_of(summed, {"name": "gdpo"}))["order"]
    assert wrong["order"] > 0
    assert wrong["examples"][0]["replies"][0]["right"] and not wrong["examples"][0]["replies"][1]["right"]


def test_the_weight_of_a_prompt_follows_the_formula() -> None:
    answers = [("car" if i < c else "bus", c) for c in range(9) for i in range(8)]
    found = parsed([{"text": f"answer: {a}", "target": "car", "group": f"g{c}", "tokens": 3} for a, c in answers])
    rows = explain_rollouts(found, setup_of({"accuracy": {}}, {"k": 4, "lambda": 0.5}))["by_right"]["rows"]
    assert [row["groups"] for row in rows] == [1] * 9
    for row in rows:
        assert row["push"] == pytest.approx(row["start"]) and row["start"] == pytest.approx(row["end"])
    spread = [rows[c]["right_mean"] - rows[c]["wrong_mean"] for c in range(1, 8)]
    assert spread == pytest.approx([1.643, 1.071, 0.729, 0.557, 0.5, 0.5, 0.5], abs=1e-3)  # the method's own table
    assert sum(row["share"] for row in rows) == pytest.approx(1)


@pytest.mark.parametrize(("weight", "budget"), [(0.2, 16), (0.1, 40)])
def test_the_exchange_rate_is_what_the_weight_implies(weight: float, budget: int) -> None:
    # All right, one shorter than the others: u grows by 1/budget per token, p = 1 and nothing is clipped.
    one = {"text": "answer: car", "target": "car", "group": "g"}
    found = parsed([one | {"tokens": n} for n in (4, 6, 6, 6)])
    rewards = {"accuracy": {}, "conciseness": {"weight": weight, "options": {"budget": budget}}}
    data = explain_rollouts(found, setup_of(rewards))["exchange"]
    mean_g = 1 - 0.75 * weight * 2 / budget
    cost = 0.75 * weight / budget  # the shortest one takes the mark with it and pays nothing
    assert data["recorded"]["rate"] == pytest.approx(0.01 * mean_g / cost)
    assert data["end"]["by"] == {"conciseness": pytest.approx(cost)} and data["tokens"] == 5.5
    free = explain_rollouts(found, setup_of({"accuracy": {}}))["exchange"]
    assert free["end"]["rate"] is None


def test_shares_add_up_along_the_run(replies: list[Recorded]) -> None:
    parts = explain_rollouts(replies, setup_of(QUICKSTART))["shares"]["parts"]
    assert list(parts) == ["accuracy", "format", "conciseness", "diversity", "pass@k"]
    assert parts["accuracy"]["share"] == pytest.approx(1)
    curve = parts["pass@k"]["curve"]
    assert curve[0][1] > 0.2 and curve[-1][1] == pytest.approx(0)  # λ runs from 0.5 to 0
    assert all(0 <= x <= 1 for x, _ in curve)


def test_a_failing_reward_stops_with_the_sample() -> None:
    bad = parsed([{"text": "a", "target": "b", "answer_type": "no such", "uid": "u1"}])
    with pytest.raises(RewardError, match="'accuracy', sample 'u1'.*raised"):
        explain_rollouts(bad, setup_of({"accuracy": {}}))
    ignored = setup_of({"accuracy": {"on_error": "none"}, "planted_half": {}})
    assert explain_rollouts(bad, ignored)["rewards"][0]["verdict"] == "never_scored"
    open_only = parsed([{"text": "a", "type": "open"}])
    with pytest.raises(RewardError, match="no task reward scored sample '1' of type 'open'"):
        explain_rollouts(open_only, setup_of({"accuracy": {}}))


def test_rewards_that_ask_a_server_come_from_the_record() -> None:
    rows = lines(steps=2)
    for i, row in enumerate(rows):
        row["components"] = {"judge": (i % 5) / 4}
    found = parsed(rows, progress=None, steps=2)
    endpoint = {"base_url": "http://127.0.0.1:9/v1", "model": "none"}
    setup = setup_of({"judge": {"options": {"endpoints": [endpoint], "types": ["verifiable", "adversarial"]}}})
    data = explain_rollouts(found, setup)
    assert data["rewards"][0]["mean"] == pytest.approx(sum((i % 5) / 4 for i in range(len(rows))) / len(rows))
    untried = [row for row in data["parameters"] if row["path"].startswith("rewards.judge.options")]
    assert untried and all("asks a server" in row["why"] for row in untried)
    assert data["record"]["differs"] == {}


def test_the_command_reads_a_stage_folder_and_writes_page_and_figures(tmp_path: Path) -> None:
    stage = tmp_path / "rl-1"
    (stage / "rollouts").mkdir(parents=True)
    hostile = "</script><b>answer: bus"
    rows = [{**row, "components": {"accuracy": 0.5}} for row in lines()]
    rows[0]["text"] = rows[0]["prompt"] = hostile
    for step in range(1, STEPS + 1):
        written(stage / "rollouts" / f"{step}.jsonl", [row for row in rows if row["step"] == step])
    settings = {"kind": "rl", "model": "m", "train": "w/s", "steps": STEPS, "rewards": QUICKSTART}
    (stage / "stage.json").write_text(json.dumps({"settings": settings, "image": {}}))
    out, figures = tmp_path / "e.html", tmp_path / "e.json"
    recipe = tmp_path / "other.yaml"
    (tmp_path / "d").mkdir()
    (tmp_path / "d/dataset_info.json").write_text('{"s": {"file_name": "s.jsonl"}}')
    (tmp_path / "d/s.jsonl").write_text("{}")
    recipe.write_text(
        "name: other\nstages:\n  rl:\n    kind: rl\n    model: some/model\n    train: ./d/s\n    steps: 4\n"
        "    rewards: {planted_half: {}, accuracy: {weight: 0.1}}\n    advantage: {name: gdpo}\n"
    )
    command = ["explain", str(stage), "--against", str(recipe), "--html", str(out), "--json", str(figures)]
    done = CliRunner().invoke(build_cli_app(), command, catch_exceptions=False)
    assert done.exit_code == 0
    for wanted in (
        "What stands out",
        "Whose push is it?",
        "the recipes order",
        "score otherwise than recorded",
    ):
        assert wanted in done.output
    data = json.loads(figures.read_text())
    assert data["replies"] == len(rows) and data["steps"] == list(range(1, STEPS + 1)) and data["flips"]["flipped"] > 0
    assert data["record"]["differs"]["accuracy"] == len(rows)
    text = out.read_text()
    assert "<b>answer: bus" not in text and text.count("<script>") == text.count("</script>") == 1
    assert "://" not in text
    docs = (Path(__file__).parents[3] / "docs/explain.md").read_text()
    keys = set(data) | set(data["rewards"][0]) | set(data["parameters"][0]) | set(data["flips"]) | set(data["order"])
    keys |= set(data["by_right"]["rows"][0]) | set(data["exchange"]["end"])
    assert sorted(key for key in keys if f"`{key}`" not in docs) == []


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], "give --recipe"),
        (["--recipe", "quickstart", "--score", "al"], "did you mean 'all'"),
        (["--recipe", "quickstrat"], "did you mean 'quickstart'"),
        (["--recipe", "nowhere/stage.json"], "no such file"),
    ],
)
def test_bad_input_is_named(tmp_path: Path, more: list[str], message: str) -> None:
    path = written(tmp_path / "r.jsonl", lines(steps=1))
    with pytest.raises(ValueError, match=message):
        CliRunner().invoke(build_cli_app(), ["explain", str(path), *more], catch_exceptions=False)


@pytest.mark.parametrize("texts", [["answer: car"], ["answer: bus"] * 3, ["answer: car"] * 3, ["", "answer: car"]])
def test_degenerate_groups_give_finite_figures(texts: list[str]) -> None:
    found = parsed([{"text": text, "target": "car", "group": "g", "tokens": 2} for text in texts])
    data = explain_rollouts(found, setup_of(QUICKSTART), setup_of({"accuracy": {}}, {"name": "gdpo"}))
    json.dumps(data, allow_nan=False)
    assert page.render_explain_page(data) and data["replies"] == len(texts)


def test_a_file_without_prompt_ids_in_one_group_is_refused() -> None:
    rows = [{"text": "answer: car", "target": "car", "group": "all"}] * 600
    with pytest.raises(recorded.RecordedError, match="group 'all' has 600 replies"):
        explain_rollouts(parsed(rows), setup_of(QUICKSTART))


def test_plain_lines_are_enough(tmp_path: Path) -> None:
    rows = [{"prompt_id": f"p{i // 4}", "text": f"answer: {'a' if i % 3 else 'b'}", "target": "a"} for i in range(24)]
    path = written(tmp_path / "r.jsonl", rows)
    done = CliRunner().invoke(build_cli_app(), ["explain", str(path), "--recipe", "quickstart"], catch_exceptions=False)
    assert "24 replies to 6 prompts" in done.output and "all lines are of the first step" in done.output
    assert "24 lines have no length" in done.output


def test_the_page_holds_every_parameter(replies: list[Recorded]) -> None:
    data = explain_rollouts(replies, setup_of(QUICKSTART))
    text = page.render_explain_page(data)
    assert all(row["path"] in text for row in data["parameters"])
    assert not any(isinstance(v, float) and math.isnan(v) for row in data["parameters"] for v in row.values())
