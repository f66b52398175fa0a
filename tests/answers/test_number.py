import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindgpt_plugins.answers import GoldError, compare_answers, parse_gold
from mindgpt_plugins.answers.number import parse_number
from mindgpt_plugins.answers.numerals import read_number_words
from mindgpt_plugins.answers.tolerance import Tolerance


def value(text: str):
    found = parse_number(text)
    return None if found is None else float(found.value)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Two", 2), ("2 cars", 2), ("1,200", 1200), ("2.0", 2), ("−5", -5), ("–5", -5), ("－5", -5), ("minus five", -5),
        ("twenty-one", 21), ("two hundred and five", 205), ("3/4", 0.75), ("2½", 2.5), ("2 1/2", 2.5), ("half", 0.5),
        ("3 million", 3e6), ("5k", 5000), ("2 dozen", 24), ("12 m²", 12), (r"12\text{ cm}^2", 12), (r"1{,}234", 1234),
        ("44 g of CO2", 44), ("9.81 m/s2", 9.81), ("1.2e3", 1200), ("5 × 10^-3", 0.005), ("3,4", 3.4), ("1.234.567",
        1234567),
        ("1 234,5", 1234.5), ("12,34,567", 1234567), ("1'234", 1234), ("$1,200", 1200), ("-$5", -5), ("50%", 50),
        ("٣٫٥", 3.5),
        ("二十一", 21), ("3万", 30000), ("百分之五十", 50), ("一共有五只猫", 5), ("einundzwanzig", 21),
        ("quatre-vingt-dix-sept", 97),
        ("veintidós", 22), ("двадцать один", 21), ("हाथ 5", None), ("x = 5", 5), ("there are 5 red cars.", 5),
        ("≈ 3.14", 3.14),
        ("5 because 2 are hidden", 5), ("five (5)", 5), (r"\frac{1}{2}", 0.5), ("2 + 3 = 5", 5),
    ],
)  # fmt: skip
def test_numbers_in_many_spellings(text: str, number: float | None):
    assert value(text) == (None if number is None else pytest.approx(number))


@pytest.mark.parametrize(
    "text",
    ["many", "2 or 3", "10-20", "12:30", "1,2,3", "3, 4", "not 5", "more than 5", "at least 5", "5 or more", "5+",
    "5!", "5th",
     "one of three", "5 of 10", "5 out of 10", "5 cats and 3 dogs", "5 (3 red and 2 blue)", "3D", "5 x 3", "$5 kg",
     "5.5.5",
     "", " ", "5/0", "1/2/3", "one two", "²"],
)  # fmt: skip
def test_what_is_left_over_makes_it_no_number(text: str):
    assert parse_number(text) is None


@pytest.mark.parametrize("gold", ["10-20", "many", "2 or 3", "12:30", "", "about"])
def test_a_gold_answer_that_is_no_number_is_an_error(gold: str):
    with pytest.raises(GoldError):
        parse_gold(gold, "number")


def verdict(gold: str, answer: str):
    found = compare_answers("", gold, answer, "number")
    return found.right, found.ambiguous


def test_units_and_nouns_must_not_disagree():
    assert verdict("12", "12 cm") == (True, False)
    assert verdict("12 cm", "12") == (True, False)
    assert verdict("12 cm", "12 m") == (False, False)
    assert verdict("5 cats", "5 dogs") == (False, True)
    assert verdict("50%", "50") == (True, False)
    assert verdict("0.5", "50%") == (False, True)


def test_the_stricter_of_two_readings_counts_and_is_told():
    assert verdict("1234", "1,234") == (True, False)
    assert verdict("1.234", "1,234") == (False, True)
    assert verdict("1234", "1.234") == (False, True)
    assert verdict("34", "3,4") == (False, False)


@given(st.integers(0, 10**9))
def test_every_integer_is_read_with_and_without_groups(n: int):
    assert parse_number(f"{n:,}").value == parse_number(str(n)).value == n


@given(st.integers(1, 999_999))
def test_english_words_are_read_back(n: int):
    assert read_number_words(in_words(n)) == (n, len(in_words(n)))


def in_words(n: int) -> str:
    small = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ]
    tens = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
    if n < 20:
        return small[n]
    if n < 100:
        return tens[n // 10 - 2] + (f"-{small[n % 10]}" if n % 10 else "")
    if n < 1000:
        return f"{small[n // 100]} hundred" + (f" and {in_words(n % 100)}" if n % 100 else "")
    return f"{in_words(n // 1000)} thousand" + (f" {in_words(n % 1000)}" if n % 1000 else "")


def test_tolerances_are_checked():
    with pytest.raises(ValueError, match="from 0 on"):
        Tolerance(rel=-1)
    assert Tolerance(abs=0.5).close(1.5, 1)
    assert not Tolerance().close(10**400, 1.5)
