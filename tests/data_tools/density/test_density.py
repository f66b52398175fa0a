import random
from typing import Any

import pytest
from mindgpt_data.density.annotations import from_truth
from mindgpt_data.density.pixels import pixels
from mindgpt_data.density.score import Picture, compute_information_density
from mindgpt_data.schema.record import ImageRecord
from mindgpt_data.schema.rows import SUB_SCORES
from mindgpt_data.world import domain, general
from mindgpt_data.world.draw import draw_scene
from mindgpt_data.world.folder import make_manifest_line
from PIL import Image


def picture(sample, grade: float, i: int) -> Picture:
    scene = sample(random.Random(i), grade, 96)
    told = {key: make_manifest_line(scene, "a.png")[key] for key in ("objects", "texts")}
    return Picture(draw_scene(scene), ImageRecord("a.png", ["a.png"], 96, 96, "c", **told))


@pytest.mark.parametrize("estimate", [from_truth, pixels])
@pytest.mark.parametrize("sample", [general.sample_general_scene, domain.sample_domain_scene])
def test_scores_stay_in_range_and_grow_with_what_is_there(estimate, sample) -> None:
    mean = {}
    for grade in (0.0, 1.0):
        scores = [estimate(picture(sample, grade, i)) for i in range(25)]
        assert all(set(s) == set(SUB_SCORES) and all(0 <= v <= 5 for v in s.values()) for s in scores)
        mean[grade] = sum(map(compute_information_density, scores)) / len(scores)
    assert mean[1.0] > mean[0.0] + 0.05


def test_pixels_sees_nothing_in_blank_and_graded_pictures() -> None:
    blank = Image.new("RGB", (96, 96), (240, 240, 250))
    ramp = Image.linear_gradient("L").resize((96, 96)).convert("RGB")
    for image in (blank, ramp):
        assert compute_information_density(pixels(Picture(image))) == 0.0


def test_annotations_count_what_the_record_says_and_open_nothing() -> None:
    def opened() -> Image.Image:
        raise AssertionError("the pixels were looked at")

    def score(*things: dict[str, Any], texts: tuple[str, ...] = ()) -> dict[str, float]:
        objects = [{"label": "car", "box": [0, 0, 9, 9], **thing} for thing in things]
        words = [{"text": text, "box": None} for text in texts]
        return from_truth(Picture(opened, ImageRecord("a", ["a"], 96, 96, "c", objects=objects, texts=words)))

    nothing = score()
    assert nothing == dict.fromkeys(SUB_SCORES, 0.0)
    seen = score({"attributes": {"colour": "red"}}, {"label": "bus"}, texts=("stop",))
    assert (seen["subjects"], seen["spatial"], seen["text"], seen["knowledge"]) == (3.0, 2.5, 3.2, 0.0)
    known = [{"attributes": {"category": "vehicle"}}, {"attributes": {"use": "transport"}}, {"label": "bus"}]
    assert score(*known)["knowledge"] == 2.0  # one label of which more is known than what is seen
    with pytest.raises(ValueError, match="use estimator 'pixels'"):
        from_truth(Picture(Image.new("RGB", (96, 96))))


def test_weights() -> None:
    scores = {"subjects": 5.0, "spatial": 0.0, "text": 0.0, "knowledge": 0.0}
    assert compute_information_density(scores) == 0.25
    assert compute_information_density(scores, {"subjects": 2, "spatial": 2, "text": 0, "knowledge": 0}) == 0.5
    with pytest.raises(ValueError, match="density weights need"):
        compute_information_density(scores, {"subjects": 1.0})
