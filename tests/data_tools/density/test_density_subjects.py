import random
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mindgpt_data.density.concepts import count_concepts
from mindgpt_data.density.detector import DetectorError, decode_boxes, detect_subjects
from mindgpt_data.density.relations import KINDS, classify_relation, count_effective_kinds
from mindgpt_data.density.subjects import find_subjects
from PIL import Image, ImageDraw, ImageFilter

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks" / "data"))
import strata  # noqa: E402

COLOURS = [(214, 40, 40), (29, 78, 216), (22, 140, 70), (245, 190, 20), (126, 34, 180)]


def scene(centres, size: int = 110, side: int = 640) -> Image.Image:
    """Discs of different colours on a grey-to-white gradient."""
    ramp = np.linspace(170, 240, side)[:, None, None] * np.ones((1, side, 3))
    image = Image.fromarray(ramp.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for i, (x, y) in enumerate(centres):
        box = (x - size // 2, y - size // 2, x + size // 2, y + size // 2)
        draw.ellipse(box, fill=COLOURS[i % len(COLOURS)])
    return image


def boxes(image: Image.Image):
    return find_subjects(np.asarray(image))


def test_separate_subjects_and_their_places() -> None:
    centres = [(120, 150), (320, 400), (500, 200)]
    found = sorted(boxes(scene(centres)))
    assert len(found) == 3
    for (x, y), (x0, y0, x1, y1) in zip(sorted(centres), found, strict=True):
        assert abs((x0 + x1) / 2 - x) < 8 and abs((y0 + y1) / 2 - y) < 8 and abs(x1 - x0 - 110) < 14


def test_overlapping_subjects_are_told_apart() -> None:
    found = boxes(scene([(250, 300), (320, 340), (500, 500)]))
    assert len(found) == 3
    assert sorted(classify_relation(a, b) for i, a in enumerate(found) for b in found[:i]).count("overlap") == 1


def test_a_subject_inside_another_is_found() -> None:
    image = scene([(300, 300)], size=260)
    ImageDraw.Draw(image).ellipse((250, 250, 350, 350), fill=(20, 20, 220))
    assert len(boxes(image)) == 2 and count_effective_kinds(boxes(image)) == 1.0


@pytest.mark.parametrize("kind", strata.BACKGROUNDS)
@pytest.mark.parametrize("damage", strata.DAMAGES)
def test_empty_backgrounds_hold_no_subject(kind, damage) -> None:
    chance = random.Random(f"{kind} {damage}")
    image = strata.damaged(strata.backdrop(kind, chance), damage, chance)
    assert boxes(image) == []


@pytest.mark.parametrize("damage", ["noise", "blur"])
def test_noise_and_blur_do_not_raise_the_count(damage) -> None:
    clean = scene([(120, 150), (320, 400), (500, 200), (150, 500)])
    if damage == "blur":
        harmed = clean.filter(ImageFilter.GaussianBlur(3))
    else:
        noise = np.random.default_rng(0).normal(0, 18, (640, 640, 3))
        harmed = Image.fromarray(np.clip(np.asarray(clean) + noise, 0, 255).astype(np.uint8))
    assert len(boxes(harmed)) == len(boxes(clean)) == 4


def test_letters_are_no_subjects_but_a_sign_is() -> None:
    image = scene([(150, 450)])
    draw = ImageDraw.Draw(image)
    outlines = []
    for text, at, ink in (("LETTERS", (60, 60), (10, 10, 10)), ("STOP", (420, 420), (255, 255, 255))):
        font = strata.ImageFont.load_default(90 if text == "LETTERS" else 40)
        if text == "STOP":
            draw.rectangle((405, 405, 535, 480), fill=(200, 20, 20))
        draw.text(at, text, font=font, fill=ink)
        x0, y0, x1, y1 = draw.textbbox(at, text, font=font)
        grow = 14 if text == "STOP" else 4
        outlines.append(np.array([(x0 - grow, y0 - 4), (x1 + grow, y0 - 4), (x1 + grow, y1 + 4), (x0 - grow, y1 + 4)]))
    assert len(find_subjects(np.asarray(image), outlines)) == 2


def test_tiny_and_extreme_pictures_are_fine() -> None:
    for size in ((1, 1), (3, 500), (4000, 10)):
        assert boxes(Image.new("RGB", size, (200, 100, 50))) == []


def test_subjects_rank_the_strata() -> None:
    """A few of the benchmark's pictures, with the true place of the text; the benchmark has them all."""
    page = [np.array([(30, 745), (970, 745), (970, 990), (30, 990)])]
    rendered = [strata.render(seed) for seed in range(20_000, 20_008)]
    found = [len(find_subjects(np.asarray(s.image), page)) for s in rendered]
    assert np.corrcoef(found, [s.truth["subjects"] for s in rendered])[0, 1] > 0.8


@pytest.mark.parametrize(
    ("b", "kind"),
    [
        ((30, 1, 40, 11), "beside"),
        ((1, 30, 11, 40), "above"),
        ((30, 30, 40, 40), "diagonal"),
        ((5, 5, 15, 15), "overlap"),
        ((2, 2, 6, 6), "inside"),
    ],
)
def test_relations(b, kind) -> None:
    a = (0, 0, 10, 10)
    assert classify_relation(a, b) == classify_relation(b, a) == kind


box = st.tuples(*[st.integers(0, 90)] * 2, *[st.integers(1, 40)] * 2).map(
    lambda v: (v[0], v[1], v[0] + v[2], v[1] + v[3])
)


@given(st.lists(box, max_size=9))
def test_effective_kinds_lies_between_its_bounds(found) -> None:
    kinds = count_effective_kinds(found)
    assert kinds == 0 if len(found) < 2 else 1 <= kinds <= len(KINDS) + 1e-9
    assert kinds == pytest.approx(count_effective_kinds(found[::-1]))


@pytest.mark.parametrize("count", [2, 5, 12])
def test_a_row_has_one_kind_whatever_its_length(count) -> None:
    assert count_effective_kinds([(20 * i, 0, 20 * i + 10, 10) for i in range(count)]) == 1.0


def test_concepts() -> None:
    assert count_concepts(["and then they went there"]) == 0
    assert count_concepts(["the carburetor and the violin"]) == 2
    assert count_concepts(["carburetor CARBURETOR carburetor"]) == 1
    assert count_concepts(["max 50 km/h", "E = mc2"]) >= 2
    assert count_concepts(["xqzt grrrh"]) == 0  # nothing one could pronounce: OCR of a texture
    assert count_concepts([]) == 0


def test_detector_outputs_are_understood() -> None:
    corners = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [50, 50, 60, 70]], np.float32)
    torchvision = {"boxes": corners, "labels": np.zeros(3), "scores": np.array([0.9, 0.8, 0.1])}
    assert decode_boxes(torchvision, 0.5).tolist() == corners[:2].tolist()
    end_to_end = np.concatenate([corners, [[0.9, 0], [0.2, 1], [0.8, 1]]], axis=1)[None]
    assert decode_boxes({"output0": end_to_end}, 0.5).tolist() == corners[[0, 2]].tolist()
    raw = np.zeros((1, 6, 8), np.float32)  # 2 classes, 8 anchors
    raw[0, :4, 0], raw[0, 4, 0] = (5, 5, 10, 10), 0.9
    raw[0, :4, 1], raw[0, 4, 1] = (6, 6, 10, 10), 0.8  # overlaps the first: suppressed
    raw[0, :4, 2], raw[0, 5, 2] = (55, 60, 10, 20), 0.7
    assert decode_boxes({"output0": raw}, 0.5).tolist() == [[0, 0, 10, 10], [50, 50, 60, 70]]
    with pytest.raises(DetectorError, match="are not understood"):
        decode_boxes({"a": np.zeros(3)}, 0.5)


def test_detector_that_cannot_be_loaded(tmp_path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    for name, message in (("none.onnx", "does not exist"), ("bad.onnx", "cannot be loaded")):
        with pytest.raises(DetectorError, match=message):
            detect_subjects(str(tmp_path / name), np.zeros((8, 8, 3), np.uint8))
