import pytest

from mindgpt_plugins.answers import GoldError, parse_gold
from mindgpt_plugins.answers.yesno import parse_yesno


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("Yes", True), ("**yes**.", True), ("No, it is not", False), ("No, there is none", False), ("yes it is", True),
        ("no there isn't", False), ("No, it is red", False), ("True", True), ("The answer is yes", True), ("是的",
        True),
        ("不是", False), ("Да, есть", True), ("нет", False), ("oui", True), ("はい", True), ("아니요", False),
        ("नहीं", False),
        ("ไม่ใช่", False), ("n", False), ("yes - the dog", True),
        ("maybe", None), ("no idea", None), ("N/A", None), ("No answer can be given", None), ("yes and no", None),
        ("yes or no", None), ("Yes, but no", None), ("No. Yes.", None), ("Yes, it is not", None), ("No, it is.", None),
        ("not sure", None), ("Yes, I don't know", None), ("no, I cannot tell", None), ("no way to know", None),
        ("No one", None),
        ("", None), ("yesterday", None), ("nothing", None), ("No? Yes?", None),
    ],
)  # fmt: skip
def test_abstaining_is_neither_yes_nor_no(reply: str, said: bool | None):
    assert parse_yesno(reply)[0] is said


def test_a_gold_answer_is_one_of_the_two():
    assert parse_gold("Yes", "yesno") == (True,)
    assert parse_gold(False, "yesno") == (False,)
    for gold in ("maybe", "", "yes and no", "no idea"):
        with pytest.raises(GoldError):
            parse_gold(gold, "yesno")
