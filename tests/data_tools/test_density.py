import random

import pytest
from mindgpt_data.density.annotations import from_truth
from mindgpt_data.density.pixels import pixels
from mindgpt_data.density.score import Picture, information_density
from mindgpt_data.schema.rows import SUB_SCORES
from mindgpt_data.world import domain, general
from mindgpt_data.world.draw import draw
from PIL import Image


def picture(sample, grade: float, i: int) -> Picture:
    scene = sample(random.Random(i), grade, 96)
    return Picture(draw(scene), scene)


@pytest.mark.parametrize("estimate", [from_truth, pixels])
@pytest.mark.parametrize("sample", [general.sample, domain.sample])
def test_scores_stay_in_range_and_grow_with_what_is_there(estimate, sample) -> None:
    mean = {}
    for grade in (0.0, 1.0):
        scores = [estimate(picture(sample, grade, i)) for i in range(25)]
        assert all(set(s) == set(SUB_SCORES) and all(0 <= v <= 5 for v in s.values()) for s in scores)
        mean[grade] = sum(map(information_density, scores)) / len(scores)
    assert mean[1.0] > mean[0.0] + 0.05


def test_pixels_sees_nothing_in_blank_and_graded_pictures() -> None:
    blank = Image.new("RGB", (96, 96), (240, 240, 250))
    ramp = Image.linear_gradient("L").resize((96, 96)).convert("RGB")
    for image in (blank, ramp):
        assert information_density(pixels(Picture(image))) == 0.0


def test_annotations_refuses_a_picture_without_truth() -> None:
    with pytest.raises(ValueError, match="use estimator 'pixels'"):
        from_truth(Picture(Image.new("RGB", (96, 96))))


def test_weights() -> None:
    scores = {"subjects": 5.0, "spatial": 0.0, "text": 0.0, "knowledge": 0.0}
    assert information_density(scores) == 0.25
    assert information_density(scores, {"subjects": 2, "spatial": 2, "text": 0, "knowledge": 0}) == 0.5
    with pytest.raises(ValueError, match="density weights need"):
        information_density(scores, {"subjects": 1.0})
