import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindgpt_plugins.rewards.answers import extract_answer, match, parse_number


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("answer: red", "red"),
        ("a red car and a bus. Answer:  two ", "two"),
        ("answer: red\nno, answer: blue", "blue"),
        (r"so \boxed{\frac{1}{2}} is it", r"\frac{1}{2}"),
        (r"answer: \boxed{4}", "4"),
        ("<answer> A </answer>", "A"),
        ("**Answer: 7**", "7"),
        ("answer: red<|im_end|>", "red"),
        ("answer:", None),
        ("red", None),
        ("", None),
        (r"\boxed{4", None),
    ],
)
def test_extract_answer(text: str, answer: str | None):
    assert extract_answer(text) == answer


@pytest.mark.parametrize(
    ("got", "want", "kind", "same"),
    [
        ("Red.", "red", "text", True),
        ("the  red", "red", "text", True),
        ("dark red", "red", "text", False),
        (None, "red", "text", False),
        ("Two", "2", "number", True),
        ("2 cars", "two", "number", True),
        ("1,200", "1200", "number", True),
        ("2.0", "2", "number", True),
        ("2 or 3", "2", "number", False),
        ("many", "2", "number", False),
        ("-3", "3", "number", False),
        ("(B) bus", "B", "choice", True),
        ("b.", "B", "choice", True),
        ("bus", "B", "choice", False),
        ("Yes", "yes", "yesno", True),
        ("No, it is not", "no", "yesno", True),
        ("no", "yes", "yesno", False),
        ("maybe", "yes", "yesno", False),
        ("[10, 20, 110, 220]", "[10,20,110,220]", "box", True),
        ("(10,20),(110,120)", "[10, 20, 110, 220]", "box", True),
        ("[10, 20, 109, 119]", "[10, 20, 110, 220]", "box", False),
        ("[110, 20, 10, 220]", "[10, 20, 110, 220]", "box", False),
        ("10 20 110", "[10, 20, 110, 220]", "box", False),
        ("[300, 300, 400, 400]", "[10, 20, 110, 220]", "box", False),
    ],
)
def test_match(got: str | None, want: str, kind: str, same: bool):
    assert match(got, want, kind) is same


def test_match_refuses_an_unknown_type():
    with pytest.raises(ValueError, match="answer_type 'txt'.*text, number"):
        match("a", "a", "txt")


def test_a_number_is_unambiguous():
    assert parse_number("one of three") is None


@given(
    st.lists(st.integers(0, 1000), min_size=4, max_size=4).filter(lambda b: b[0] < b[2] and b[1] < b[3]),
    st.lists(st.integers(0, 1000), min_size=4, max_size=4).filter(lambda b: b[0] < b[2] and b[1] < b[3]),
)
def test_boxes_match_alike_both_ways_and_always_themselves(a: list[int], b: list[int]):
    assert match(str(a), str(a), "box")
    assert match(str(a), str(b), "box") is match(str(b), str(a), "box")
