import threading

import pytest

from mindgpt_plugins.answers import GoldError, MathError, judge_answer, math_process, parse_gold
from mindgpt_plugins.answers.math import compare_math


@pytest.mark.parametrize(
    ("got", "want", "same"),
    [
        ("act", "cat", False), ("cat", "cat", True), ("1/3", "10:30", False), ("10:30 pm", "10:30", False), ("10:30",
        "10:30", True),
        ("0.5", r"50\%", True), ("50%", "0.5", True), ("4", "3", False), ("0.75", "3/4", True), ("", "3", False),
        ("no idea", "3", False), ("1" * 3000, "3", False), ("3 apples", "3", True), (r"12\text{ cm}", "12", True),
        ("3 or 5", "5", False), ("3, 5", "5", False), ("x = 5", "5", True), ("1,000", "1000", True),
    ],
)  # fmt: skip
def test_what_needs_no_algebra(got: str, want: str, same: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mindgpt_plugins.answers.math.get_math_process", lambda: pytest.fail("asked math-verify"))
    assert compare_math(got, want)[0] is same


@pytest.mark.parametrize("gold", ["((((", "{1", "+", "$$"])
def test_a_gold_answer_that_is_no_expression_is_an_error(gold: str):
    with pytest.raises(GoldError):
        parse_gold(gold, "math")


@pytest.fixture(scope="module")
def _math():
    pytest.importorskip("math_verify")


@pytest.mark.usefixtures("_math")
@pytest.mark.parametrize(
    ("got", "want", "same"),
    [
        (r"\frac{1}{2}", "0.5", True), ("x^2+2x+1", "(x+1)^2", True), (r"2\sqrt{2}", r"\sqrt{8}", True), (r"\{1,2\}",
        r"\{2,1\}", True),
        ("[0,1)", "[0,1)", True), (r"\frac{\pi}{2}", "pi/2", True), ("√2", r"\sqrt{2}", True), ("sqrt(2)",
        r"\sqrt{2}", True),
        ("((((", "3", False), ("x^2+2x", "(x+1)^2", False), (r"\sqrt{3}", r"\sqrt{2}", False), ("[0,1]", "[0,1)",
        False),
        (r"\pi", "3.14", False), ("-x", "x", False),
    ],
)  # fmt: skip
def test_expressions(got: str, want: str, same: bool):
    assert compare_math(got, want)[0] is same


@pytest.mark.usefixtures("_math")
def test_expressions_are_compared_in_worker_threads_and_hostile_ones_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mindgpt_plugins.answers.math_process.LIMIT", 1.0)
    found: list[bool] = []
    asked = [("9^{9^{9^9}}", r"\pi^2"), ("x/2", r"\frac{x}{2}")]
    threads = [threading.Thread(target=lambda a=a, b=b: found.append(compare_math(a, b)[0])) for a, b in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(found) == [False, True]
    assert judge_answer("", r"\frac{x}{2}", r"so \boxed{\frac{2x}{4}}", "math").right


@pytest.mark.usefixtures("_math")
def test_a_killed_helper_is_replaced():
    helper = math_process.MathProcess()
    assert helper.compare("2", "2")
    helper._process.kill()
    helper._process.wait()
    assert helper.compare("2", "2")
    helper.close()


def test_without_math_verify_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(math_process.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MathError, match="pip install"):
        math_process.MathProcess()
