import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindgpt_plugins.answers import BOX_CONVENTIONS, GoldError, JudgeOptions, compare_answers, judge_answer, parse_gold
from mindgpt_plugins.answers.box import compute_box_iou, convert_boxes, match_boxes, parse_boxes

BOXES = st.tuples(*[st.integers(0, 499)] * 2, *[st.integers(1, 500)] * 2).map(
    lambda b: (*b[:2], b[0] + b[2], b[1] + b[3])
)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("[10, 20, 110, 220]", 1), ("(10,20),(110,120)", 1), ("10 20 110 220", 1), ("x0=10, y0=20, x1=110, y1=220", 1),
        ('[{"bbox_2d": [10, 20, 30, 40], "label": "car 2"}]', 1), ('```json\n[{"bbox_2d": [10, 20, 30, 40]}]\n```', 1),
        ("[[1, 2, 3, 4], [5, 6, 7, 8]]", 2), ("[1, 2, 3, 4] and [5, 6, 7, 8]", 2), ("the car is at [10, 20, 30, 40]",
        1),
        ("[0.1, 0.2, 0.3, 0.4]", 1), ("<box>(1,2),(3,4)</box>", 1), ("[.1, .2, .3, .4]", 1),
    ],
)  # fmt: skip
def test_boxes_in_many_spellings(text: str, count: int):
    assert len(parse_boxes(text) or []) == count


@pytest.mark.parametrize(
    "text",
    ["", "the bus", "[1, 2, 3]", "[110, 20, 10, 220]", "[1, 2, 3, 4] or [5, 6, 7, 8]", "[1, 2, 3, 4, 5, 6, 7, 8]",
    "[1, 2, 3, 4] 5",
     "[1, 2, 1, 4]", "[a, b, c, d]", "not [1, 2, 3, 4]", '{"box_2d": [1, 2, 3, 4]}', "[true, 0, 1, 2]",
     "[1, 2, 1e999, 4]"],
)  # fmt: skip
def test_what_is_no_box(text: str):
    assert parse_boxes(text) is None


@given(BOXES, BOXES)
def test_overlap_is_symmetric_and_one_only_for_equals(a, b):
    assert compute_box_iou(a, b) == compute_box_iou(b, a)
    assert 0 <= compute_box_iou(a, b) <= 1
    assert (compute_box_iou(a, b) == 1) is (a == b)


def test_overlap_by_hand():
    assert compute_box_iou([0, 0, 2, 2], [1, 1, 3, 3]) == 1 / 7
    assert compute_box_iou([0, 0, 1, 1], [1, 1, 2, 2]) == 0.0
    assert compute_box_iou([0, 0, 0, 0], [0, 0, 0, 0]) == 0.0


@pytest.mark.parametrize("there", list(BOX_CONVENTIONS))
@given(st.lists(BOXES, min_size=1, max_size=4), st.integers(1, 4000), st.integers(1, 4000))
def test_converting_there_and_back_changes_nothing(there, boxes, width, height):
    converted = convert_boxes(boxes, "relative_1000", there, (width, height))
    for before, after in zip(boxes, convert_boxes(converted, there, "relative_1000", (width, height)), strict=True):
        assert after == pytest.approx(before)


@given(st.lists(BOXES, min_size=1, max_size=4), st.lists(BOXES, min_size=1, max_size=4))
def test_matching_counts_missing_and_superfluous_boxes(got, want):
    assert len(match_boxes(got, want)) == max(len(got), len(want))
    assert match_boxes(want, want) == [1.0] * len(want)


@pytest.mark.parametrize(
    ("gold", "convention", "reason"),
    [
        ("[0.1, 0.2, 0.5, 0.6]", "pixels", "are these shares"),
        ("[0.1, 0.2, 0.5, 0.6]", "relative_1000", "are these shares"),
        ("[10, 20, 50, 60]", "relative_1", "outside"),
        ("[10, 20, 50, 60]", "xywh", "outside"),
        ("[10, 20, 50, 1200]", "relative_1000", "outside"),
        ("[0.1, 0.1, 0.2, 0.2]", "coco", "are these shares, xywh"),
        ("[-20, 0, 50, 60]", "pixels", "outside"),
        ("[50, 60, 10, 20]", "pixels", "is no box"),
    ],
)
def test_a_gold_box_that_cannot_be_of_its_convention_is_an_error(gold: str, convention: str, reason: str):
    with pytest.raises(GoldError, match=reason):
        parse_gold(gold, "box", boxes=convention)


def test_width_and_height_are_read_as_declared():
    options = JudgeOptions(target_boxes="coco")
    assert compare_answers("", "[100, 100, 50, 50]", "[100, 100, 50, 50]", "box", options).right
    assert not compare_answers("", "[100, 100, 50, 50]", "[100, 100, 150, 150]", "box", options).right
    other = JudgeOptions(target_boxes="coco", reply_boxes="relative_1000", picture_size=(500, 500))
    assert compare_answers("", "[100, 100, 50, 50]", "[200, 200, 300, 300]", "box", other).right
    with pytest.raises(ValueError, match="need the picture's size"):
        unsized = JudgeOptions(target_boxes="coco", reply_boxes="relative_1")
        compare_answers("", "[100, 100, 50, 50]", "[0.2, 0.2, 0.3, 0.3]", "box", unsized)


def test_the_json_of_a_grounding_model_is_read():
    reply = '```json\n[\n  {"bbox_2d": [10, 20, 30, 40], "label": "car 2"}\n]\n```'
    assert judge_answer("", "[10, 20, 30, 40]", reply, "box").right
    assert judge_answer("", "[10, 20, 30, 40]", f"answer:\n{reply}", "box").right
