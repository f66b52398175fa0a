import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindgpt_plugins.rewards.accuracy import accuracy
from mindgpt_plugins.rewards.answers import match, options_of, similarity
from mindgpt_plugins.rewards.boxes import convert, iou, overlaps, parse_boxes
from mindgpt_plugins.rewards.json_answer import last_json, same_json
from mindgpt_plugins.rewards.math_answer import MathError, same_expression
from mindgpt_plugins.rewards.sdk import RewardError, Rollout
from mindgpt_plugins.rewards.tolerance import Tolerance
from mindgpt_plugins.rewards.units import parse_quantity, same_quantity

BOXES = st.tuples(*[st.integers(0, 999)] * 2, *[st.integers(1, 500)] * 2).map(
    lambda b: (*b[:2], b[0] + b[2], b[1] + b[3])
)


def scored(text: str, target: str, kind: str, question: str = "", images=None, boxes=None, **options) -> float:
    r = Rollout(text, target, answer_type=kind, prompt=question, load_images=images, boxes=boxes)
    return accuracy(r, **options).value


# --- numbers and quantities


@pytest.mark.parametrize(
    ("text", "target", "options", "right"),
    [
        ("answer: 10.4", "10", {}, 0.0),
        ("answer: 10.4", "10", {"rel_tol": 0.05}, 1.0),
        ("answer: 10.6", "10", {"rel_tol": 0.05}, 0.0),
        ("answer: 10.6", "10", {"abs_tol": 1.0}, 1.0),
        ("answer: 3/4", "0.75", {}, 1.0),
        ("answer: 1/0", "1", {}, 0.0),
    ],
)
def test_numbers_have_a_tolerance(text: str, target: str, options: dict, right: float):
    assert scored(text, target, "number", **options) == right


@pytest.mark.parametrize(
    ("got", "want", "same"),
    [
        ("3.6 km/h", "1 m/s", True),
        ("72 °F", "22.222222 °C", True),
        ("-40 °C", "-40 °F", True),
        ("0 °C", "273.15 K", True),
        ("5 × 10^-3 m", "5 mm", True),
        ("5e-3 m", "5 mm", True),
        ("$5", "5 dollars", True),
        ("40%", "0.4", True),
        ("12 inches", "1 foot", True),
        ("1 kWh", "3.6 MJ", True),
        ("9.81 m/s²", "9.81 m/s^2", True),
        ("10 N·m", "10 J", True),
        ("2 liters", "2000 mL", True),
        ("1 kilometer per hour", "1 km/h", True),
        ("1 Pa", "1 pA", False),
        ("5 mm", "5 m", False),
        ("5 kg", "5 m", False),
        ("5", "5 m", False),
        ("5 apples", "5 m", False),
        ("many", "5 m", False),
        ("1 kg^99", "1 kg", False),
        (r"9.81\,\text{m/s}^{2}", "9.81 m/s^2", True),
    ],
)
def test_quantities_are_compared_after_conversion(got: str, want: str, same: bool):
    assert same_quantity(got, want) is same


def test_a_tolerance_is_in_the_gold_unit_and_a_missing_unit_may_be_allowed():
    assert same_quantity("21 °C", "20.5 °C", Tolerance(abs=0.5))
    assert not same_quantity("294.25 K", "20 °C", Tolerance(abs=0.5))
    assert scored("answer: 5", "5 m", "unit") == 0.0
    assert scored("answer: 5", "5 m", "unit", unit_optional=True) == 1.0
    assert scored("answer: 500 cm", "5 m", "unit") == 1.0


def test_a_gold_answer_with_an_unknown_unit_is_an_error():
    with pytest.raises(ValueError, match="'5 smoots' is not a number with a unit"):
        same_quantity("5 m", "5 smoots")


@given(st.floats(1e-3, 1e6), st.sampled_from([("km", "m", 1e3), ("h", "s", 3600), ("kg", "g", 1e3), ("ft", "in", 12)]))
def test_conversion_goes_both_ways(value: float, units: tuple[str, str, float]):
    large, small, factor = units
    assert same_quantity(f"{value * factor!r} {small}", f"{value!r} {large}")
    assert same_quantity(f"{value!r} {large}", f"{value * factor!r} {small}")


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str):
    parse_quantity(text)
    assert same_quantity(text, "5 m") in (True, False)
    last_json(text)
    parse_boxes(text)


# --- options and texts

QUESTION = "Which vehicle is it?\n(A) a red car (B) a bus\n(C) the tram"


@pytest.mark.parametrize(
    ("got", "want", "same"),
    [("bus", "B", True), ("B", "bus", True), ("a bus", "(B)", True), ("tram", "B", False), ("red car", "A", True)],
)
def test_an_options_text_stands_for_its_letter(got: str, want: str, same: bool):
    assert match(got, want, "choice", question=QUESTION) is same


@pytest.mark.parametrize(
    ("question", "options"),
    [
        (QUESTION, {"a": "red car", "b": "bus", "c": "tram"}),
        ("Pick.\nA. one\nB. two", {"a": "one", "b": "two"}),
        ("A) 1.5, B) 2.5, C) 3", {"a": "1 5", "b": "2 5", "c": "3"}),
        ("What did Mr. X. say?", {}),
        ("", {}),
    ],
)
def test_options_are_read_from_the_question(question: str, options: dict):
    assert options_of(question) == options


def test_texts_may_be_similar():
    assert similarity("kitten", "sitting") == pytest.approx(1 - 3 / 7)
    assert scored("answer: Waterlo Bridge", "Waterloo Bridge", "text") == 0.0
    assert scored("answer: Waterlo Bridge", "Waterloo Bridge", "text", similarity=0.9) == 1.0
    assert (match("+", "-", "text"), match("+", "+", "text")) == (False, True)


@given(st.text(max_size=30), st.text(max_size=30))
def test_similarity_is_symmetric_and_one_only_for_equals(a: str, b: str):
    assert similarity(a, b) == similarity(b, a)
    assert 0 <= similarity(a, b) <= 1
    assert (similarity(a, b) == 1) is (a == b)


# --- boxes


@given(BOXES, BOXES)
def test_iou_is_symmetric_and_one_only_for_equals(a, b):
    assert iou(a, b) == iou(b, a)
    assert 0 <= iou(a, b) <= 1
    assert (iou(a, b) == 1) is (a == b)


@given(st.lists(BOXES, min_size=1, max_size=4), st.integers(1, 4000), st.integers(1, 4000))
def test_converting_there_and_back_changes_nothing(boxes, width, height):
    there = convert(boxes, "relative_1000", "pixels", (width, height))
    for before, after in zip(boxes, convert(there, "pixels", "relative_1000", (width, height)), strict=True):
        assert after == pytest.approx(before)


@given(st.lists(BOXES, min_size=1, max_size=4), st.lists(BOXES, min_size=1, max_size=4))
def test_overlaps_count_missing_and_superfluous_boxes(got, want):
    assert len(overlaps(got, want)) == max(len(got), len(want))
    assert overlaps(want, want) == [1.0] * len(want)


class Picture:
    size = (200, 100)


def test_boxes_in_other_coordinates():
    target, options = "[0, 0, 500, 1000]", {"target_boxes": "relative_1000"}
    assert scored("answer: [0, 0, 100, 100]", target, "box", **options) == 0.0
    assert (
        scored("answer: [0, 0, 100, 100]", target, "box", images=lambda: [Picture()], reply_boxes="pixels", **options)
        == 1.0
    )
    assert scored("answer: [0, 0, 0.5, 1.0]", target, "box", boxes="relative_1000", reply_boxes="relative_1") == 1.0
    with pytest.raises(RewardError, match="images of sample '' are not available"):
        scored("answer: [0, 0, 100, 100]", target, "box", reply_boxes="pixels", **options)
    with pytest.raises(ValueError, match="neither its row nor target_boxes"):
        scored("answer: [0, 0, 100, 100]", target, "box", reply_boxes="pixels")
    with pytest.raises(ValueError, match="unknown box convention 'pixel'"):
        scored("answer: [0, 0, 100, 100]", target, "box", reply_boxes="pixel", **options)


def test_box_scores_may_be_graded():
    assert scored("answer: [0, 0, 10, 10]", "[0, 0, 10, 20]", "box") == 1.0
    assert scored("answer: [0, 0, 10, 10]", "[0, 0, 10, 20]", "box", min_iou=0.6) == 0.0
    assert scored("answer: [0, 0, 10, 10]", "[0, 0, 10, 20]", "box", graded=True) == 0.5
    assert scored("answer: [[0,0,10,10],[50,50,60,60]]", "[0, 0, 10, 10]", "box", graded=True) == 0.5
    assert scored("no idea", "[0, 0, 10, 10]", "box", graded=True) == 0.0


def test_the_json_of_a_grounding_model_is_read():
    reply = '```json\n[\n  {"bbox_2d": [10, 20, 30, 40], "label": "car 2"}\n]\n```'
    assert scored(reply, "[10, 20, 30, 40]", "box") == 1.0


# --- JSON


@pytest.mark.parametrize(
    ("got", "want", "same"),
    [
        ('{"a": 1, "b": "Red."}', '{"b": "red", "a": 1.0}', True),
        ('{"a": 1}', '{"a": 1, "b": 2}', False),
        ('{"a": "1"}', '{"a": 1}', False),
        ('{"a": true}', '{"a": 1}', False),
        ("[1, 2]", "[2, 1]", False),
        ("[1, [2, null]]", "[1, [2, null]]", True),
        ("[1" + "0" * 400 + "]", "[1]", False),
        ("[" * 5000, "[1]", False),
        ("{'a': 1}", '{"a": 1}', False),
    ],
)
def test_json_is_compared_by_structure(got: str, want: str, same: bool):
    assert same_json(got, want) is same


def test_json_options_and_gold():
    assert same_json("[1.01, 2]", "[2, 1]", Tolerance(rel=0.05), unordered=True)
    assert not same_json("[1, 1]", "[1, 2]", unordered=True)
    assert scored('x = {"q": 1}\nanswer: ```json\n{"n": [1,\n 2]}\n```', '{"n": [1, 2]}', "json") == 1.0
    with pytest.raises(ValueError, match="is no JSON"):
        same_json("1", "{a}")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text('ab[]{}"'), lambda x: st.lists(x, max_size=3)))
def test_the_last_json_of_a_reply_is_found_whole(value):
    wrapped = {"v": value}
    found = last_json(f"I saw [1, 2] and so: answer: {json.dumps(wrapped)} done")
    assert json.loads(found) == wrapped
    assert same_json(found, json.dumps(wrapped))


# --- math


@pytest.fixture(scope="module")
def _math():
    pytest.importorskip("math_verify")


@pytest.mark.usefixtures("_math")
@pytest.mark.parametrize(
    ("got", "want", "same"),
    [
        (r"\frac{1}{2}", "0.5", True),
        ("x^2+2x+1", "(x+1)^2", True),
        (r"2\sqrt{2}", r"\sqrt{8}", True),
        (r"\{1,2\}", r"\{2,1\}", True),
        ("[0,1)", "[0,1)", True),
        ("x=5", "5", True),
        ("4", "3", False),
        ("((((", "3", False),
        ("", "3", False),
        ("no idea", "3", False),
        ("1" * 3000, "3", False),
    ],
)
def test_expressions(got: str, want: str, same: bool):
    assert same_expression(got, want) is same


@pytest.mark.usefixtures("_math")
def test_expressions_are_compared_in_worker_threads_and_hostile_ones_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mindgpt_plugins.rewards.math_answer.LIMIT", 1.0)
    found: list[bool] = []
    asked = [("9^{9^{9^9}}", "3"), ("1/2", "0.5")]
    threads = [threading.Thread(target=lambda a=a, b=b: found.append(same_expression(a, b))) for a, b in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(found) == [False, True]
    assert scored(r"so \boxed{\frac{2}{4}}", r"\frac{1}{2}", "math") == 1.0


@pytest.mark.usefixtures("_math")
def test_a_killed_helper_is_replaced():
    from mindgpt_plugins.rewards import math_answer

    helper = math_answer.Helper()
    assert helper.compare("2", "2")
    helper._process.kill()
    helper._process.wait()
    assert helper.compare("2", "2")
    helper.close()


def test_without_math_verify_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    from mindgpt_plugins.rewards import math_answer

    monkeypatch.setattr(math_answer.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MathError, match="pip install"):
        math_answer.Helper()


def test_compare_overrides_the_rows_type():
    assert scored("answer: 100 cm", "1 m", "text", compare="unit") == 1.0
    with pytest.raises(ValueError, match="unknown answer_type 'units'"):
        scored("answer: 1", "1", "text", compare="units")
