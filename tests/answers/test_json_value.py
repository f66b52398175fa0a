import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindgpt_plugins.answers import GoldError, JudgeOptions, compare_answers, judge_answer, parse_gold
from mindgpt_plugins.answers.json_value import find_last_json


@pytest.mark.parametrize(
    ("got", "want", "same"),
    [
        ('{"a": 1, "b": "Red."}', '{"b": "red", "a": 1.0}', True),
        ('{"a": 1}', '{"a": 1, "b": 2}', False),
        ('{"a": "1"}', '{"a": 1}', False),
        ('{"a": true}', '{"a": 1}', False),
        ('{"a": "O+"}', '{"a": "O-"}', False),
        ("[1, 2]", "[2, 1]", False),
        ("[1, [2, null]]", "[1, [2, null]]", True),
        ("[1" + "0" * 400 + "]", "[1]", False),
        ("[" * 5000, "[1]", False),
        ("[NaN]", "[1]", False),
        ("{'a': 1}", '{"a": 1}', False),
        ("5", "5", True),
        ('""', '""', True),
    ],
)
def test_json_is_compared_by_structure(got: str, want: str, same: bool):
    assert compare_answers("", want, got, "json").right is same


def test_lists_may_be_unordered_and_gold_is_strict():
    loose = JudgeOptions(rel_tol=0.05, unordered=True)
    assert compare_answers("", "[2, 1]", "[1.01, 2]", "json", loose).right
    assert not compare_answers("", "[1, 2]", "[1, 1]", "json", loose).right
    for gold in ("{a}", "[NaN]", "{'a': 1}"):
        with pytest.raises(GoldError, match="is no JSON"):
            parse_gold(gold, "json")


@pytest.mark.parametrize(
    "reply",
    [
        'x = {"q": 1}\nanswer: ```json\n{"n": [1,\n 2]}\n```',
        '{"n": [1, 2]}',
        'The result is {"n": [1, 2]} as asked.',
        '**Answer:**\n{"n": [1, 2]}',
        '<think>{"n": [3]}</think>{"n": [1, 2]}',
    ],
)
def test_the_json_of_a_reply_is_found(reply: str):
    assert judge_answer("", '{"n": [1, 2]}', reply, "json").right


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text('ab[]{}"'), lambda x: st.lists(x, max_size=3)))
def test_the_last_json_of_a_reply_is_found_whole(value):
    wrapped = {"v": value}
    found = find_last_json(f"I saw [1, 2] and so: {json.dumps(wrapped)} done")
    assert json.loads(found) == wrapped
    assert compare_answers("", json.dumps(wrapped), found, "json").right
