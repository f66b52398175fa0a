"""Every line of the corpus has its verdict, in the parser, the reward, the evaluation and the data gates alike."""

import time
from collections import Counter

import pytest
from labelled import read_corpus
from mindgpt_data.gates.rules import check_answer_form
from mindgpt_data.schema.rows import Row

from mindgpt_plugins.answers import ANSWER_TYPES, judge_answer
from mindgpt_plugins.generation.hf_engine import Reply
from mindgpt_plugins.rewards.accuracy import accuracy
from mindgpt_plugins.rewards.sdk import Rollout
from mindgpt_plugins.stages.evaluate.run import is_reply_right

LINES = read_corpus()
pytestmark = pytest.mark.filterwarnings("ignore")


def needs_algebra(line: dict) -> bool:
    return line["type"] == "math"


@pytest.fixture(scope="module", autouse=True)
def _math():
    pytest.importorskip("math_verify")


@pytest.mark.parametrize("kind", ANSWER_TYPES)
def test_no_line_of_the_corpus_is_judged_wrong(kind: str):
    misses = []
    for line in (line for line in LINES if line["type"] == kind):
        verdict = judge_answer(line.get("question", ""), line["gold"], line["reply"], kind)
        if line["verdict"] == "ambiguous":
            assert not verdict.right, line  # the stricter reading
        elif verdict.right is not (line["verdict"] == "right"):
            misses.append((line["gold"], line["reply"], line["verdict"], verdict.why))
    assert misses == []


def test_the_corpus_is_large_mixed_and_mostly_of_wrong_replies():
    verdicts = Counter(line["verdict"] for line in LINES)
    assert len(LINES) >= 1200
    assert verdicts["wrong"] >= len(LINES) / 2
    assert len({code for line in LINES for code in line["lang"].split("/")}) >= 12
    assert {line["type"] for line in LINES} == set(ANSWER_TYPES)
    assert len({(line["gold"], line["reply"], line["type"], line.get("question")) for line in LINES}) > 0.97 * len(
        LINES
    )


def row_of(line: dict) -> Row:
    kind = line["type"]
    return Row(
        "u", [], line.get("question", "?"), line["gold"], "", kind, "s", "c", boxes="pixels" if kind == "box" else None
    )


def test_reward_and_evaluation_give_one_verdict():
    for line in LINES:
        row, text = row_of(line), line["reply"]
        rollout = Rollout(text, row.answer, prompt=row.question, answer_type=row.answer_type, boxes=row.boxes)
        assert (accuracy(rollout).value == 1.0) is is_reply_right(row, Reply(text, 1, True)), line


def test_the_rules_gate_keeps_exactly_the_golds_that_are_right_as_a_reply():
    for line in LINES:
        row = row_of(line)
        as_reply = judge_answer(row.question, row.answer, f"answer: {row.answer}", row.answer_type)
        plain = not row.answer.startswith(('{"any_of"', '{"all_of"', '["'))
        assert (check_answer_form(row) is None) is as_reply.right, line
        assert as_reply.right or not plain, line


def test_a_verdict_costs_less_than_a_millisecond_of_cpu_except_for_algebra():
    lines = [line for line in LINES if not needs_algebra(line)]
    judge_answer("", "5", "answer: 5", "number")  # tables are made on first use
    started = time.process_time()
    for line in lines:
        judge_answer(line.get("question", ""), line["gold"], line["reply"], line["type"])
    assert (time.process_time() - started) / len(lines) < 1e-3
