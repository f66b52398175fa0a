import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mindgpt_plugins.answers import compare_answers, normalise_text
from mindgpt_plugins.answers.text import measure_similarity


def right(got: str, want) -> bool:
    return compare_answers("", want, got, "text").right


@pytest.mark.parametrize(
    ("got", "want"),
    [
        ("Red.", "red"), ("the  red", "red"), ("“Stop”", "stop"), ("ice-cream", "ice cream"), ("U.S.A.", "USA"),
        ("Dr Smith", "Dr. Smith"),
        ("red white and blue", "red, white and blue"), ("black & white", "black and white"), ("x>5", "x > 5"), ("5km",
        "5 km"),
        ("three dogs", "3 dogs"), ("ＡＢＣ", "abc"), ("50 %", "50%"), ("+", "+"), ("दिन", "दिन"), ("true", True),
        ("5", 5.0), ("5.0", 5),
        ("3.0", "3"), ("2.50", "2.5"), (r"8\sqrt{3}", r"8 \sqrt { 3 }"), ("0.5", r"\frac { 1 } { 2 }"), ("1,200",
        "1200"),
        ("May 12", "12 May"), ("12 May 2020", "2020-05-12"), ("2:30 pm", "14:30"), ("12. Mai 2020", "May 12, 2020"),
        ("2020年5月12日", "2020-05-12"), ("noon", "12:00"), ("下午2点半", "14:30"),
    ],
)  # fmt: skip
def test_texts_that_say_the_same(got: str, want):
    assert right(got, want)


@pytest.mark.parametrize(
    ("got", "want"),
    [
        ("dark red", "red"), ("O-", "O+"), ("C#", "C++"), ("x < 5", "x > 5"), ("5", "-5"), ("3.2", "3:2"), ("A-",
        "A+"), ("-", "+"),
        ("เสื้อ", "เสือ"), ("दान", "दिन"), ("B", "A B"), ("7", "007"), ("5 mW", "5 MW"), ("x2", "x²"), ("3,4", "34"),
        ("1-2", "12"),
        ("minor", "A minor"), ("ano", "año"), ("1st", "1"), ("5!", "5"), ("May 12", "March 12"), ("2:30 am", "14:30"),
        ("?", "red"),
        ("[]", "red"), ("Ca+", "Ca2+"), ("H2O2", "H2O"), ("k-12", "k12"),
    ],
)  # fmt: skip
def test_texts_that_only_look_the_same(got: str, want: str):
    assert not right(got, want)
    assert not right(want, got)


def test_a_date_or_time_with_two_readings_is_told():
    found = compare_answers("", "03/04/2020", "3 April 2020", "text")
    assert (found.right, found.ambiguous) == (False, True)
    assert right("03/04/2020", "03/04/2020")
    assert compare_answers("", "14:30", "2:30", "text").ambiguous


@given(st.text(max_size=30), st.text(max_size=30))
def test_similarity_is_symmetric_and_one_only_for_equals(a: str, b: str):
    assert measure_similarity(a, b) == measure_similarity(b, a)
    assert 0 <= measure_similarity(a, b) <= 1
    assert (measure_similarity(a, b) == 1) is (a == b)


def test_similarity_is_levenshteins():
    assert measure_similarity("kitten", "sitting") == pytest.approx(1 - 3 / 7)


@given(st.text(max_size=40))
@example("-,\rA")
@example("A. dog")
def test_normalising_again_changes_nothing(text: str):
    once = normalise_text(text)
    assert normalise_text(once) == once
