"""The reward: options, conventions of boxes, errors. What is right is tested in tests/answers."""

import pytest

from mindgpt_plugins.rewards.accuracy import accuracy
from mindgpt_plugins.rewards.config import RewardConfig
from mindgpt_plugins.rewards.sdk import RewardError, Rollout
from mindgpt_plugins.rewards.suite import Suite


def scored(text: str, target: str, kind: str, question: str = "", images=None, boxes=None, **options) -> float:
    r = Rollout(text, target, answer_type=kind, prompt=question, load_images=images, boxes=boxes)
    return accuracy(r, **options).value


@pytest.mark.parametrize(
    ("text", "target", "options", "right"),
    [
        ("answer: 10.4", "10", {}, 0.0),
        ("answer: 10.4", "10", {"rel_tol": 0.05}, 1.0),
        ("answer: 10.6", "10", {"rel_tol": 0.05}, 0.0),
        ("answer: 10.6", "10", {"abs_tol": 1.0}, 1.0),
        ("answer: 11", "10", {"abs_tol": 1.0}, 1.0),
        ("answer: 10000001", "10000000", {}, 0.0),
        ("answer: 10000001", "10000000", {"rel_tol": 1e-5}, 1.0),
        ("answer: 0.0000002", "0.0000001", {}, 0.0),
    ],
)
def test_numbers_have_a_tolerance(text: str, target: str, options: dict, right: float):
    assert scored(text, target, "number", **options) == right


def test_a_missing_unit_may_be_allowed():
    assert scored("answer: 5", "5 m", "unit") == 0.0
    assert scored("answer: 5", "5 m", "unit", unit_optional=True) == 1.0
    assert scored("answer: 500 cm", "5 m", "unit") == 1.0


def test_texts_may_be_similar():
    assert scored("answer: Waterlo Bridge", "Waterloo Bridge", "text") == 0.0
    assert scored("answer: Waterlo Bridge", "Waterloo Bridge", "text", similarity=0.9) == 1.0


class Picture:
    size = (200, 100)


def test_boxes_in_other_coordinates():
    target, options = "[0, 0, 500, 1000]", {"target_boxes": "relative_1000"}
    seen = {"images": lambda: [Picture()]}
    assert scored("answer: [0, 0, 100, 100]", target, "box", **options) == 0.0
    assert scored("answer: [0, 0, 100, 100]", target, "box", **seen, reply_boxes="pixels", **options) == 1.0
    assert scored("answer: [0, 0, 100, 100]", target, "box", **seen, reply_boxes="coco", **options) == 1.0
    assert (
        scored("answer: [100, 0, 100, 100]", "[500, 0, 1000, 1000]", "box", **seen, reply_boxes="coco", **options)
        == 1.0
    )
    assert scored("answer: [0.5, 0, 0.5, 1]", "[500, 0, 1000, 1000]", "box", reply_boxes="xywh", **options) == 1.0
    assert scored("answer: [0, 0, 0.5, 1.0]", target, "box", boxes="relative_1000", reply_boxes="relative_1") == 1.0
    with pytest.raises(RewardError, match="images of sample '' are not available"):
        scored("answer: [0, 0, 100, 100]", target, "box", reply_boxes="pixels", **options)
    with pytest.raises(ValueError, match="neither the row nor target_boxes"):
        scored("answer: [0, 0, 100, 100]", target, "box", reply_boxes="pixels")
    with pytest.raises(ValueError, match="unknown box convention 'pixel'"):
        scored("answer: [0, 0, 100, 100]", target, "box", reply_boxes="pixel", **options)


def test_box_scores_may_be_graded():
    assert scored("answer: [0, 0, 10, 10]", "[0, 0, 10, 20]", "box") == 1.0
    assert scored("answer: [0, 0, 10, 10]", "[0, 0, 10, 20]", "box", min_iou=0.6) == 0.0
    assert scored("answer: [0, 0, 10, 10]", "[0, 0, 10, 20]", "box", graded=True) == 0.5
    assert scored("answer: [[0,0,10,10],[50,50,60,60]]", "[0, 0, 10, 10]", "box", graded=True) == 0.5
    assert scored("no idea", "[0, 0, 10, 10]", "box", graded=True) == 0.0


def test_json_lists_may_come_in_any_order():
    assert scored("answer: [1.01, 2]", "[2, 1]", "json", unordered=True, rel_tol=0.05) == 1.0
    assert scored("answer: [1.01, 2]", "[2, 1]", "json", rel_tol=0.05) == 0.0


def test_compare_overrides_the_rows_type():
    assert scored("answer: 100 cm", "1 m", "text", compare="unit") == 1.0
    with pytest.raises(ValueError, match="unknown answer_type 'units'"):
        scored("answer: 1", "1", "text", compare="units")


def test_a_gold_answer_that_is_none_of_its_type_stops_with_the_samples_name():
    suite = Suite({"accuracy": RewardConfig(weight=1.0)})
    with pytest.raises(RewardError, match="sample 'u7'.*gold answer 'many' of answer_type 'number'"):
        suite.score_sample(Rollout("answer: many", "many", answer_type="number", uid="u7"))


def test_an_answer_that_only_another_reading_makes_right_is_counted():
    log = accuracy(Rollout("answer: 1.234", "1234", answer_type="number")).log
    assert log["ambiguous"] == 1
    assert accuracy(Rollout("answer: 1.235", "1234", answer_type="number")).log["ambiguous"] == 0
