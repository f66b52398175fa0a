"""Recorded rollouts are read, scored and shown without training."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mindgpt_plugins.cli import build_cli_app
from mindgpt_plugins.rewards.recorded import RecordedError, group_recorded_rollouts, read_recorded_rollouts
from mindgpt_plugins.rewards.suite import RewardConfig, Suite
from mindgpt_plugins.rewards.trial import score_recorded_rollouts, summarise_components

DUMP = {
    "input": "What colour?", "output": "It is red. answer: red", "gts": "red", "score": 1.0, "step": 3, "row": "r-1",
    "source": "general", "type": "verifiable", "labels": {"capability": "perception.colour"}, "difficulty": 0.5,
    "image": ["images/1.png"], "group": "s3p0", "session": 0, "tokens": 9, "components": {"accuracy": 1.0},
}  # fmt: skip
FLAKY = """
from mindgpt_plugins.rewards.sdk import Rollout, reward

@reward
def flaky_on_blue(r: Rollout) -> float:
    if "blue" in r.text:
        raise ValueError("cannot see blue")
    return 1.0
"""


def lines(path: Path, *rows: dict) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def suite(**rewards: dict) -> Suite:
    return Suite({name: RewardConfig.model_validate(config) for name, config in rewards.items()})


def test_a_byte_order_mark_before_recorded_replies_is_skipped(tmp_path: Path):
    path = lines(tmp_path / "3.jsonl", DUMP)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert [one.rollout.uid for one in read_recorded_rollouts(path)] == [DUMP["row"]]


def test_our_dump_is_read(tmp_path: Path):
    (one,) = read_recorded_rollouts(lines(tmp_path / "3.jsonl", DUMP), total_steps=5)
    r = one.rollout
    assert (r.text, r.target, r.prompt, r.uid, r.length) == (DUMP["output"], "red", "What colour?", "r-1", 9)
    assert (r.progress, one.group, one.components, one.guessed) == (0.5, "s3p0", {"accuracy": 1.0}, ("answer_type",))


def test_plain_lines_are_read_and_grouped_by_prompt(tmp_path: Path):
    plain = [{"prompt_id": i // 2, "text": f"answer: {i}", "target": "1", "answer_type": "number"} for i in range(4)]
    found = read_recorded_rollouts(lines(tmp_path / "x.jsonl", *plain), progress=0.25)
    assert [one.rollout.uid for one in found] == ["0", "0", "1", "1"]
    assert list(group_recorded_rollouts(found)) == [[0, 1], [2, 3]]
    assert found[0].rollout.length == 2 and found[0].guessed == ("type", "length")
    assert found[0].rollout.progress == 0.25


def test_a_folder_is_read_in_the_order_of_its_steps(tmp_path: Path):
    for step in (10, 2, 1):
        lines(tmp_path / f"{step}.jsonl", DUMP | {"step": step})
    assert [one.rollout.step for one in read_recorded_rollouts(tmp_path)] == [1, 2, 10]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ('{"text": "a", "target": "a"}\n{"text', "x.jsonl:2: no JSON"),
        ('{"text": "a", "solution": "a"}', "x.jsonl:1: no target; it is called one of: target, .*rename 'solution'"),
        ('{"text": "a", "reward_model": {"ground_truth": "a"}}', "rename reward_model.ground_truth to target"),
        ('{"text": "a", "target": ""}', "x.jsonl:1: the target is empty"),
        ('{"text": "a", "target": NaN}', "x.jsonl:1: the target is empty"),
        ('{"replies": "a"}', "x.jsonl:1: no reply; it is called one of: text, reply.*did you mean 'replies'"),
        ("[1]", "an object, not list"),
        ("", "it is empty"),
    ],
)
def test_bad_files_name_the_line(tmp_path: Path, content: str, why: str):
    (tmp_path / "x.jsonl").write_text(content)
    with pytest.raises(RecordedError, match=why):
        read_recorded_rollouts(tmp_path / "x.jsonl")
    with pytest.raises(RecordedError, match="no such file"):
        read_recorded_rollouts(tmp_path / "y.jsonl")


def test_groups_are_modulated_and_differences_to_the_record_counted(tmp_path: Path):
    rows = [DUMP | {"tokens": n, "session": i, "output": text} for i, (n, text) in enumerate(
        [(10, "answer: red"), (50, "answer: red"), (5, "answer: blue")]
    )]  # fmt: skip
    s = suite(accuracy={}, conciseness={"weight": 0.3, "options": {"budget": 40}})
    found = score_recorded_rollouts(s, read_recorded_rollouts(lines(tmp_path / "x.jsonl", *rows)))
    assert [one.score for one in found] == [1.0, 1.0, 0.0]
    assert [one.modulated for one in found] == pytest.approx([1.0, 1.0 - 0.3 * 2 / 3, 0.0])
    accuracy, concise = summarise_components(s, found)
    assert (accuracy.mean, accuracy.scored, accuracy.changed) == (pytest.approx(2 / 3), 3, 1)
    assert (concise.role, concise.high) == ("modulator", pytest.approx(2 / 3))


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "flaky.py").write_text(FLAKY)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dataset_info.json").write_text("{}")
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "name: x\nplugins: [./flaky.py]\nstages:\n  rl:\n    kind: rl\n    model: owner/name\n    train: data/set\n"
        "    steps: 5\n    rewards: {accuracy: {}, flaky_on_blue: {}}\n"
    )
    return path


def test_the_command_shows_scores_and_writes_them(recipe: Path):
    on = lines(recipe.with_name("r.jsonl"), DUMP, DUMP | {"session": 1, "output": "answer: green"})
    out = recipe.with_name("scored.jsonl")
    done = CliRunner().invoke(build_cli_app(), ["rewards", "try", str(recipe), "--on", str(on), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "2 replies, mean r 0.75" in done.output and "2 lines have no answer_type" in done.output
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["components"] for row in rows] == [
        {"accuracy": 1.0, "flaky_on_blue": 1.0},
        {"accuracy": 0.0, "flaky_on_blue": 1.0},
    ]
    assert rows[0]["log"]["accuracy.answer"] == "red"


def test_what_was_guessed_or_doubted_about_answers_is_counted_once(recipe: Path):
    plain = {"prompt_id": "a", "type": "verifiable", "tokens": 3}
    on = lines(
        recipe.with_name("r.jsonl"),
        plain | {"text": "answer: 5", "target": 5.0},
        plain | {"text": "answer: 7", "target": "7.0", "answer_type": "text"},
        plain | {"text": "answer: 1.234", "target": "1234", "answer_type": "number"},
        plain | {"text": "answer: 8", "target": 9.0, "answer_type": "number"},
    )
    args = ["rewards", "try", str(recipe), "--on", str(on)]
    shown = " ".join(CliRunner().invoke(build_cli_app(), args).output.split())
    assert "1 lines have no answer_type: taken as text" in shown
    assert "2 targets are floats of whole numbers (5.0): compared as the number" in shown
    assert "accuracy: 1 verdicts are ambiguous (25.0 %)" in shown
    lines(on, plain | {"text": "answer: red", "target": "red", "answer_type": "text"})
    shown = CliRunner().invoke(build_cli_app(), args).output
    assert "1 replies" in shown and not any(word in shown for word in ("ambiguous", "answer_type", "floats"))


def test_a_failing_reward_is_shown_and_is_the_exit_status(recipe: Path):
    on = lines(recipe.with_name("r.jsonl"), DUMP, DUMP | {"session": 1, "output": "answer: blue"})
    done = CliRunner().invoke(build_cli_app(), ["rewards", "try", str(recipe), "--on", str(on)])
    assert done.exit_code == 1
    told = " ".join(done.output.split())
    assert "1 of 2 replies failed" in told and "raised ValueError: cannot see blue" in told and "'r-1'" in told
    lenient = "stages.rl.rewards.flaky_on_blue.on_error=none"
    done = CliRunner().invoke(
        build_cli_app(), ["rewards", "try", str(recipe), lenient, "--on", str(on), "--limit", "0"]
    )
    assert done.exit_code == 0, done.output


def test_a_settings_file_of_a_run_will_do(tmp_path: Path):
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"rewards": {"accuracy": {}}}))
    on = lines(tmp_path / "r.jsonl", DUMP, DUMP | {"group": "s3p1"})
    done = CliRunner().invoke(build_cli_app(), ["rewards", "try", str(settings), "--on", str(on), "--group", "s3p1"])
    assert done.exit_code == 0 and "1 replies, mean r 1" in done.output
