import json
import os
import shutil

import pytest
from mindgpt_data.corpus import CorpusError, find_corpus_files, read_corpus
from mindgpt_data.io.work import Work
from mindgpt_data.schema.config import DataSettings
from mindgpt_data.steps import images
from PIL import Image

from mindgpt_plugins.core.own_folders import mark_own_folder


def picture(path, colour=(200, 30, 30), size=(40, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def run(corpus, work):
    return images.run(Work(work), DataSettings(images={"path": str(corpus)}))


def lines(path, *records: object) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def test_folder_is_read_recursively_in_order_with_odd_names(tmp_path) -> None:
    names = ["a.png", "b c/ü 'x'.JPG", "b c/#1?.png", "z/deep/er/q.webp"]
    for name in names:
        picture(tmp_path / "in" / name)
    (tmp_path / "in" / "LICENSE.txt").write_text("not a picture, and not a failure")
    picture(tmp_path / "in" / ".hidden" / "a.png")
    run(tmp_path / "in", tmp_path / "work")
    records = Work(tmp_path / "work").read_images()
    assert [r.image for r in records] == sorted(names)
    assert all((r.width, r.height, r.source, r.group) == (40, 30, "domain", r.content) for r in records)
    first = (tmp_path / "work" / "images.jsonl").read_bytes()
    run(tmp_path / "in", tmp_path / "work")
    assert (tmp_path / "work" / "images.jsonl").read_bytes() == first


def test_our_own_output_below_the_pictures_is_left_out_and_said(tmp_path) -> None:
    picture(tmp_path / "in" / "a.png")
    picture(tmp_path / "in" / "runs" / "b.png")  # a name proves nothing
    picture(tmp_path / "in" / "out" / "images" / "c.png")
    mark_own_folder(tmp_path / "in" / "out")
    summary = run(tmp_path / "in", tmp_path / "work")
    assert [r.image for r in Work(tmp_path / "work").read_images()] == ["a.png", "runs/b.png"]
    assert summary["dropped"] == {"folder of our own output": 1}
    assert run(tmp_path / "in" / "out", tmp_path / "work")["images"] == 1  # named itself


def test_the_files_of_a_corpus_are_what_it_names(tmp_path) -> None:
    for name in ("a.png", "images/b.png", "c.png"):
        picture(tmp_path / name)
    whole = str(tmp_path / "c.png")
    lines(tmp_path / "m.jsonl", {"image": ["a.png", "gone.png"], "video": ["v.mp4"]}, {"image": whole})
    coco = {"images": [{"id": 1, "file_name": "b.png"}], "annotations": [], "categories": []}
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    found = {name: find_corpus_files(tmp_path / name) for name in ("m.jsonl", "coco.json", "images")}
    assert {name: list(read.media()) for name, read in found.items()} == {
        "m.jsonl": ["a.png", "gone.png", whole],
        "coco.json": ["images/b.png"],
        "images": ["b.png"],
    }
    assert [list(read.lists) for read in found.values()] == [["m.jsonl"], ["coco.json"], []]


def test_one_bad_picture_costs_only_itself(tmp_path) -> None:
    picture(tmp_path / "in" / "good.png")
    (tmp_path / "in" / "empty.png").touch()
    (tmp_path / "in" / "text.jpg").write_text("hello")
    summary = run(tmp_path / "in", tmp_path / "work")
    work = Work(tmp_path / "work")
    assert [r.image for r in work.read_images()] == ["good.png"]
    assert {(d.key, d.reason) for d in work.read_drops("images")} == {
        ("empty.png", "empty file"),
        ("text.jpg", "not an image"),
    }
    assert summary["images"] == 1 and summary["dropped"] == {"empty file": 1, "not an image": 1}


def test_many_pictures_in_worker_processes_keep_their_order(tmp_path) -> None:
    for i in range(images.INLINE + 10):
        picture(tmp_path / "in" / f"{i:03}.png", colour=(i, 0, 0), size=(8, 8))
    (tmp_path / "in" / "005.png").write_bytes(b"x")
    run(tmp_path / "in", tmp_path / "work")
    names = [r.image for r in Work(tmp_path / "work").read_images()]
    assert names == sorted(names) and len(names) == images.INLINE + 9


def test_name_that_is_no_utf8_is_dropped(tmp_path) -> None:
    picture(tmp_path / "in" / "good.png")
    try:
        shutil.copy(tmp_path / "in" / "good.png", os.fsencode(tmp_path / "in") + b"/\xff.png")
    except OSError:
        pytest.skip("this file system refuses such names")
    run(tmp_path / "in", tmp_path / "work")
    assert [d.reason for d in Work(tmp_path / "work").read_drops("images")] == ["file name is not UTF-8"]


@pytest.mark.parametrize(
    ("name", "message"),
    [("nowhere", "does not exist"), ("in", "holds no picture"), ("in/readme.md", "is no corpus")],
)
def test_a_corpus_that_cannot_be_read_says_why(tmp_path, name, message) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "readme.md").write_text("")
    with pytest.raises(CorpusError, match=message):
        read_corpus(tmp_path / name)


def test_folder_that_cannot_be_listed(tmp_path, monkeypatch) -> None:
    def refuse(top):
        raise PermissionError(13, "Permission denied", str(top))

    (tmp_path / "in").mkdir()
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(CorpusError, match="cannot be listed: Permission denied"):
        read_corpus(tmp_path / "in")


def test_only_bad_pictures_is_an_error_and_leaves_the_reasons(tmp_path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").touch()
    with pytest.raises(CorpusError, match="no picture can be used; first: a.png: empty file"):
        run(tmp_path / "in", tmp_path / "work")
    assert len(Work(tmp_path / "work").read_drops("images")) == 1


def test_manifest_carries_everything_it_knows(tmp_path) -> None:
    picture(tmp_path / "p" / "a.png")
    picture(tmp_path / "p" / "b.png", size=(10, 10))
    lines(
        tmp_path / "m.jsonl",
        {
            "image": "p/a.png",
            "caption": "a red field",
            "captions": ["red"],
            "tags": ["plain"],
            "objects": [{"label": "field", "box": [0, 0, 40, 30]}],
            "texts": ["stop", {"text": "go", "box": [1, 1, 5, 5]}],
            "boxes": "pixels",
            "source": "general",
            "split": "test",
            "group": "g1",
            "video": ["v.mp4"],
            "difficulty": 0.5,
        },
        {"image": ["p/a.png", "p/b.png"]},
        {"image": "p/b.png", "id": "mine"},
    )
    run(tmp_path / "m.jsonl", tmp_path / "work")
    a, pair, mine = Work(tmp_path / "work").read_images()
    assert (a.image, a.captions, a.tags, a.split, a.group) == (
        "p/a.png",
        ["a red field", "red"],
        ["plain"],
        "test",
        "g1",
    )
    assert a.objects == [{"label": "field", "box": [0, 0, 40, 30], "attributes": {}}]
    assert a.texts == [{"text": "stop", "box": None}, {"text": "go", "box": [1, 1, 5, 5]}]
    assert (a.source, a.video, a.difficulty) == ("general", ["v.mp4"], 0.5)
    assert pair.image == "p/a.png+p/b.png" and len(pair.paths) == 2 and pair.content == a.content
    assert mine.image == "mine" and mine.source == "domain"


def test_a_bad_manifest_line_is_dropped_by_its_number(tmp_path) -> None:
    picture(tmp_path / "a.png")
    with (tmp_path / "m.jsonl").open("wb") as file:
        file.write(b'{"image": "a.png", "tags": ["caf\xe9"]}\n')
        file.write(b'{"image": "a.png", "tag": ["typo"]}\n{not json\n{"image": []}\n\n{"image": "a.png"}\n')
    run(tmp_path / "m.jsonl", tmp_path / "work")
    work = Work(tmp_path / "work")
    assert [(d.key, d.reason) for d in work.read_drops("images")] == [
        ("m.jsonl line 1", "not UTF-8"),
        ("m.jsonl line 2", "line does not fit"),
        ("m.jsonl line 3", "not JSON"),
        ("m.jsonl line 4", "line does not fit"),
    ]
    assert [r.image for r in work.read_images()] == ["a.png"]


def test_duplicate_ids_are_an_error_that_names_both(tmp_path) -> None:
    picture(tmp_path / "a.png")
    lines(tmp_path / "m.jsonl", {"image": "a.png"}, {"image": "a.png", "tags": ["again"]})
    with pytest.raises(CorpusError, match=r"'a.png' occurs twice \(records 1 and 2\)"):
        read_corpus(tmp_path / "m.jsonl")


def coco(folder, **more) -> dict:
    picture(folder / "images" / "1.jpg")
    data = {
        "images": [{"id": 7, "file_name": "1.jpg", "width": 40, "height": 30}],
        "categories": [{"id": 3, "name": "dog"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 3, "bbox": [2, 3, 10, 20], "iscrowd": 0},
            {"id": 2, "image_id": 7, "caption": "a dog "},
            {"id": 3, "image_id": 7, "category_id": 4, "bbox": [2, 3, 10, 20]},
            {"id": 4, "image_id": 8, "category_id": 3, "bbox": [2, 3, 10, 20]},
            {"id": 5, "image_id": 7, "category_id": 3, "bbox": [2, 3, 0, 20]},
            {"id": 6, "image_id": 7, "utf8_string": "EXIT", "bbox": [1, 1, 8, 4]},
        ],
        **more,
    }
    (folder / "c.json").write_text(json.dumps(data))
    return data


def test_coco(tmp_path) -> None:
    coco(tmp_path)
    run(tmp_path / "c.json", tmp_path / "work")
    (record,) = Work(tmp_path / "work").read_images()
    assert record.image == "images/1.jpg" and record.captions == ["a dog"]
    assert record.objects == [{"label": "dog", "box": [2, 3, 12, 23], "attributes": {}}]
    assert record.texts == [{"text": "EXIT", "box": [1, 1, 9, 5]}]
    drops = Work(tmp_path / "work").read_drops("images")
    assert [d.key for d in drops] == ["annotation 3", "annotation 4", "annotation 5"]


def test_files_of_windows_tools_begin_with_a_byte_order_mark(tmp_path) -> None:
    coco(tmp_path)
    picture(tmp_path / "a.png")
    lines(tmp_path / "m.jsonl", {"image": "a.png"}, {"image": "images/1.jpg"})
    for name in ("m.jsonl", "c.json"):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + (tmp_path / name).read_bytes())
    assert [record.image for record in read_corpus(tmp_path / "m.jsonl", "s").records] == ["a.png", "images/1.jpg"]
    assert [record.image for record in read_corpus(tmp_path / "c.json", "s").records] == ["images/1.jpg"]


def test_coco_that_is_none(tmp_path) -> None:
    (tmp_path / "c.json").write_text("[]")
    with pytest.raises(CorpusError, match="no COCO file"):
        read_corpus(tmp_path / "c.json")
    (tmp_path / "c.json").write_bytes(b'{"images": ["\xff"]}')
    with pytest.raises(CorpusError, match="not JSON in UTF-8"):
        read_corpus(tmp_path / "c.json")
