"""What the boxes of a user's corpus are is declared and checked, or proven."""

import json
from pathlib import Path
from typing import get_args

import pytest
from mindgpt_data.cli import build_data_app
from mindgpt_data.corpus import CorpusError
from mindgpt_data.io.work import Work
from mindgpt_data.schema.boxes import BoxConvention
from mindgpt_data.schema.config import DataSettings
from mindgpt_data.steps import images
from PIL import Image
from typer.testing import CliRunner

from mindgpt_plugins.answers import BOX_CONVENTIONS

PLACED = [120, 60, 360, 240]
"""A truck in a picture of 400 x 300, in pixels."""
WRITTEN = {
    "pixels": PLACED,
    "relative_1": [0.3, 0.2, 0.9, 0.8],
    "relative_1000": [300, 200, 900, 800],
    "xywh": [0.3, 0.2, 0.6, 0.6],
    "coco": [120, 60, 240, 180],
}


def corpus(folder: Path, *boxes: list[float], size: tuple[int, int] = (400, 300), **more: object) -> Path:
    """A manifest with one picture per box; ``more`` is added to every line."""
    lines = []
    for number, box in enumerate(boxes):
        Image.new("RGB", size, (number, 0, 0)).save(folder / f"{number}.png")
        lines.append({"image": f"{number}.png", "objects": [{"label": "truck", "box": box}], **more})
    (folder / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder / "m.jsonl"


def read(path: Path, **settings: object) -> tuple[list[list[float]], dict]:
    """Boxes in pixels, and the step's summary."""
    work = Work(path.parent / "work")
    summary = images.run(work, DataSettings(images={"path": str(path), **settings}))
    return [thing["box"] for record in work.read_images() for thing in record.objects], summary


def test_settings_and_manifests_know_the_conventions_of_answers() -> None:
    assert set(get_args(BoxConvention)) == set(BOX_CONVENTIONS) == set(WRITTEN)


@pytest.mark.parametrize("convention", WRITTEN)
def test_a_declared_convention_becomes_pixels(tmp_path, convention) -> None:
    path = corpus(tmp_path, WRITTEN[convention])
    boxes, summary = read(path, boxes=convention)
    assert boxes == [pytest.approx(PLACED)]
    assert (summary["boxes"], summary["boxes_proven"]) == ({convention: 1}, None)


def test_a_line_says_what_its_own_boxes_are(tmp_path) -> None:
    path = corpus(tmp_path, WRITTEN["pixels"], WRITTEN["pixels"])
    first, second = path.read_text().splitlines()
    told = json.loads(second) | {"boxes": "coco", "objects": [{"label": "truck", "box": WRITTEN["coco"]}]}
    told["texts"] = ["EXIT", {"text": "GO", "box": WRITTEN["coco"]}]
    path.write_text(f"{first}\n{json.dumps(told)}\n")
    boxes, summary = read(path, boxes="pixels")
    assert boxes == [PLACED, PLACED] and summary["boxes"] == {"pixels": 1, "coco": 2}
    assert Work(tmp_path / "work").read_images()[1].texts == [
        {"text": "EXIT", "box": None}, {"text": "GO", "box": PLACED}
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("declared", "box", "message"),
    [
        ("relative_1000", [0.3, 0.2, 0.9, 0.8], "smaller than one unit.*1 boxes could be relative_1: correct"),
        ("pixels", [0.3, 0.2, 0.9, 0.8], "smaller than one unit.*could be relative_1: correct"),
        ("coco", [0.3, 0.4, 0.9, 0.8], "smaller than one unit.*could be relative_1: correct"),
        ("relative_1000", [300, 200, 1100, 250], "lies outside.*makes no sense in any convention"),
        ("relative_1", [300, 200, 900, 800], "lies outside.*could be relative_1000: correct"),
        ("pixels", [300, 200, 900, 800], "lies outside the picture for pixels.*could be relative_1000: correct"),
        ("pixels", [240, 60, 120, 180], "inside out for pixels.*could be coco: correct"),
        ("xywh", [0.3, 0.2, 0.9, 0.8], "lies outside.*could be relative_1: correct"),
    ],
)
def test_boxes_that_cannot_be_what_is_declared_refuse_the_corpus(tmp_path, declared, box, message) -> None:
    with pytest.raises(CorpusError, match=rf"m.jsonl: 1 of 1 boxes cannot be {declared}.*m.jsonl line 1.*{message}"):
        read(corpus(tmp_path, box), boxes=declared)
    assert not (tmp_path / "work" / "images.jsonl").exists()


def test_the_refusal_of_a_mixed_corpus_says_what_the_box_could_be(tmp_path) -> None:
    path = corpus(tmp_path, PLACED, WRITTEN["relative_1"])
    with pytest.raises(CorpusError, match=r"line 2.*That box could be relative_1, but no convention fits all"):
        read(path, boxes="pixels")


def test_the_refusal_says_which_line_and_what_all_boxes_could_be(tmp_path) -> None:
    path = corpus(tmp_path, [10, 10, 90, 90], [300, 200, 900, 800])
    with pytest.raises(CorpusError, match=r"1 of 2 boxes.*line 2: 'truck' at .*All 2 boxes could be relative_1000"):
        read(path, boxes="pixels")


@pytest.mark.parametrize(
    ("boxes", "proven"),
    [
        ([WRITTEN["relative_1"]], "relative_1"),
        ([[0.1, 0.1, 0.2, 0.2], WRITTEN["relative_1"]], "relative_1"),
        ([[10, 10, 20, 20], WRITTEN["relative_1000"]], "relative_1000"),
        ([[10, 10, 5, 20]], "coco"),
        ([[0.5, 0.5, 0.4, 0.3]], "xywh"),
    ],
)
def test_nothing_is_declared_and_one_convention_fits_all(tmp_path, boxes, proven) -> None:
    found, summary = read(corpus(tmp_path, *boxes))
    assert (summary["boxes_proven"], summary["boxes"]) == (proven, {proven: len(boxes)})
    assert found == read(tmp_path / "m.jsonl", boxes=proven)[0]


def test_pixels_prove_themselves_in_large_pictures_only(tmp_path) -> None:
    assert read(corpus(tmp_path, [900, 100, 1500, 300], size=(1600, 400)))[1]["boxes_proven"] == "pixels"
    with pytest.raises(CorpusError, match=r"all 1 could be relative_1000 or pixels .*images.boxes=pixels \(corners"):
        read(corpus(tmp_path, PLACED))


def test_two_readings_are_none(tmp_path) -> None:
    with pytest.raises(CorpusError, match="all 1 could be relative_1 or xywh .*line 1"):
        read(corpus(tmp_path, [0.1, 0.1, 0.3, 0.3]))
    with pytest.raises(
        CorpusError, match=r"no convention fits them all: m.jsonl line 2: box .* cannot be relative_1\b"
    ):
        read(corpus(tmp_path, WRITTEN["relative_1"], WRITTEN["pixels"]))


def test_a_lone_box_that_does_not_fit_can_be_dropped_and_is_counted(tmp_path) -> None:
    path = corpus(tmp_path, PLACED, [0, 0, 401, 300], [0, 0, 990, 9])
    boxes, summary = read(path, boxes="pixels", drop_invalid_boxes=True)
    assert boxes == [PLACED, [0, 0, 401, 300]]  # a pixel beyond the edge is rounding
    assert summary["dropped"] == {"box cannot be pixels": 1}
    (drop,) = Work(tmp_path / "work").read_drops("images")
    assert drop.key == "2.png" and "m.jsonl line 3: 'truck' at [0.0, 0.0, 990.0, 9.0]" in drop.detail


def test_a_coco_file_is_of_its_own_convention_and_can_be_told_another(tmp_path) -> None:
    Image.new("RGB", (400, 300)).save(tmp_path / "a.png")
    data = {"images": [{"id": 1, "file_name": "a.png"}], "categories": [{"id": 1, "name": "truck"}]}
    path = tmp_path / "c.json"
    for box, declared in ((WRITTEN["coco"], {}), (WRITTEN["xywh"], {"boxes": "xywh"})):
        path.write_text(json.dumps({**data, "annotations": [{"image_id": 1, "category_id": 1, "bbox": box}]}))
        boxes, _ = read(path, **declared)
        assert boxes == [pytest.approx(PLACED)]
    with pytest.raises(CorpusError, match=r"cannot be coco.*c.json image a.png: 'truck'.*All 1 boxes could be"):
        read(path)


def test_the_command_says_what_was_read(tmp_path) -> None:
    path = corpus(tmp_path, WRITTEN["relative_1"])
    result = CliRunner().invoke(build_data_app(), ["images", f"images.path={path}", "--work", str(tmp_path / "work")])
    assert result.exit_code == 0, result.output
    assert "1 boxes read as relative_1; no other convention fits them all" in result.output


def test_the_whole_pipeline_says_it_and_asks_for_the_boxes_where_they_are(tmp_path) -> None:
    path = corpus(tmp_path, [0.6, 0.6, 0.9, 0.9], [0.05, 0.05, 0.25, 0.25], [0.5, 0.1, 0.8, 0.9])
    result = CliRunner().invoke(
        build_data_app(), ["run", f"images.path={path}", "budget.items=12", "--work", str(tmp_path / "work")]
    )
    assert result.exit_code == 0, result.output
    assert "3 boxes read as relative_1; no other convention fits them all" in result.output
    rows = [json.loads(line) for line in (tmp_path / "work" / "datasets" / "data_train.jsonl").open()]
    answers = {row["answer"] for row in rows if row["answer_type"] == "box"}
    assert answers and answers <= {"[600, 600, 900, 900]", "[50, 50, 250, 250]", "[500, 100, 800, 900]"}
