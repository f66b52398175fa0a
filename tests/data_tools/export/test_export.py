import dataclasses
import json
from pathlib import Path

import pytest
from mindgpt_data.export import (
    list_sets,
    read_preference_set,
    read_set,
    remove_unused_pictures,
    save_image,
    write_preference_set,
    write_set,
)
from mindgpt_data.schema.rows import Pair, Row, RowError
from PIL import Image


def make(folder: Path, count: int = 3) -> list[Row]:
    rows = []
    for i in range(count):
        name = save_image(Image.new("RGB", (32, 32), (i, 0, 0)), folder)
        rows.append(
            Row(
                uid=f"u{i}", image=[name] * (1 + i % 2), question="what colour?", answer="red",
                response="answer: red", answer_type="text", source="general", capability="perception.colour",
                ids=0.5, difficulty=0.25, knowledge="x" if i else None,
            )
        )  # fmt: skip
    return rows


def test_rows_come_back_as_they_went(tmp_path: Path) -> None:
    rows = make(tmp_path)
    write_set(rows, tmp_path, "train")
    assert read_set(tmp_path, "train") == rows
    assert list_sets(tmp_path) == ["train"]


def test_sharegpt_has_one_tag_per_image_and_the_labels_on_top(tmp_path: Path) -> None:
    rows = make(tmp_path)
    write_set(rows, tmp_path, "train")
    records = json.loads((tmp_path / "train.json").read_text())
    for record, row in zip(records, rows, strict=True):
        assert record["messages"][0]["content"] == "<image>" * len(row.image) + row.question
        assert record["images"] == row.image
        assert (record["uid"], record["source"], record["difficulty"]) == (row.uid, row.source, row.difficulty)


def test_parquet_is_what_verl_reads(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    rows = make(tmp_path)
    write_set(rows, tmp_path, "train")
    records = pq.read_table(tmp_path / "train.parquet").to_pylist()
    for i, (record, row) in enumerate(zip(records, rows, strict=True)):
        assert record["data_source"] == "general"
        assert record["reward_model"] == {"style": "rule", "ground_truth": "red"}
        assert record["prompt"] == [{"role": "user", "content": row.prompt}]
        assert [image["bytes"] for image in record["images"]] == [(tmp_path / f).read_bytes() for f in row.image]
        assert record["extra_info"]["index"] == i
        assert record["extra_info"]["image"] == row.image


def test_preferences_come_back_and_a_second_set_keeps_the_first(tmp_path: Path) -> None:
    rows = make(tmp_path)
    write_set(rows, tmp_path, "train")
    pairs = [Pair(rows[0], "answer: red", "answer: blue", "right_wrong"), Pair(rows[0], "a", "b", "concise_verbose")]
    write_preference_set(pairs, tmp_path, "pairs")
    assert read_preference_set(tmp_path, "pairs") == pairs
    info = json.loads((tmp_path / "dataset_info.json").read_text())
    assert list(info) == ["train", "pairs"]
    assert info["pairs"]["ranking"] is True


def test_equal_pictures_are_one_file(tmp_path: Path) -> None:
    image = Image.new("RGB", (32, 32))
    assert save_image(image, tmp_path) == save_image(image.copy(), tmp_path)
    assert len(list((tmp_path / "images").iterdir())) == 1


def test_bad_sets_are_refused(tmp_path: Path) -> None:
    rows = make(tmp_path)
    with pytest.raises(RowError, match="at least one"):
        write_set([], tmp_path, "train")
    with pytest.raises(RowError, match="twice"):
        write_set([rows[0], rows[0]], tmp_path, "train")
    with pytest.raises(RowError, match="only hold letters"):
        write_set(rows, tmp_path, "../train")
    with pytest.raises(RowError, match="'images/none.png' is not in"):
        write_set([dataclasses.replace(rows[0], image=["images/none.png"])], tmp_path, "train")
    with pytest.raises(RowError, match="no set 'dev'"):
        read_set(tmp_path, "dev")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer_type": "colour"}, "answer_type 'colour'"),
        ({"difficulty": 1.5}, "outside"),
        ({"image": "x.png"}, "field 'image' must be"),
        ({"colour": "red"}, "unknown field 'colour'"),
        ({"question": None}, "field 'question' must be"),
    ],
)
def test_a_malformed_line_names_field_and_place(tmp_path: Path, change, message) -> None:
    data = make(tmp_path)[0].to_json() | change
    with pytest.raises(RowError, match=message) as error:
        Row.from_json(data, "train.jsonl line 3")
    assert "line 3" in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": ""}, "answer_type 'text' is empty"),
        ({"answer": "many", "answer_type": "number"}, "row 'u0': gold answer 'many'"),
        ({"answer": "maybe", "answer_type": "yesno"}, "neither yes nor no"),
        ({"answer": "[30, 40, 10, 20]", "answer_type": "box", "boxes": "pixels"}, "is no box"),
        ({"answer": "[0.1, 0.2, 0.5, 0.6]", "answer_type": "box", "boxes": "pixels"}, "are these shares"),
    ],
)
def test_a_gold_answer_that_no_reply_can_match_is_not_written(tmp_path: Path, change, message) -> None:
    rows = make(tmp_path)
    rows[0] = dataclasses.replace(rows[0], **change)
    with pytest.raises(RowError, match=message):
        write_set(rows, tmp_path, "train")
    write_set([dataclasses.replace(rows[0], answer_type="text", type="open"), *rows[1:]], tmp_path, "train")


def test_pictures_that_no_set_names_go_and_all_others_stay(tmp_path: Path) -> None:
    rows = make(tmp_path)
    write_set(rows[:1], tmp_path, "train")
    (tmp_path / "by_hand.json").write_text(json.dumps([{"images": rows[1].image}]))  # another maker's
    (tmp_path / "images" / "photo.png").write_bytes(b"not ours")
    before = sorted(path.name for path in (tmp_path / "images").iterdir())
    assert remove_unused_pictures(tmp_path) == 1
    gone = set(before) - {path.name for path in (tmp_path / "images").iterdir()}
    assert gone == {Path(rows[2].image[0]).name}
    assert remove_unused_pictures(tmp_path) == remove_unused_pictures(tmp_path / "nowhere") == 0
