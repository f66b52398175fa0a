"""The trainers' own loaders read what is exported: several pictures per row, preferences, videos, boxes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from mindgpt_data.export import list_sets, read_set, save_image, write_preference_set, write_set
from mindgpt_data.schema.rows import Pair, Row, RowError
from PIL import Image
from support.gate_helpers import noise, row


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    one, two = (save_image(noise(seed=i), folder) for i in range(2))
    box = {"answer_type": "box", "boxes": "relative_1000", "answer": "[1, 2, 30, 40]"}
    rows = [
        row("one", one),
        dataclasses.replace(row("two", one, question="What differs?"), image=[one, two]),
        row("box", two, **box, response="answer: [1, 2, 30, 40]", knowledge="vehicles.bus", difficulty=0.25),
        row(
            "twin",
            two,
            type="adversarial",
            twin_uid="box",
            answer_type="text",
            answer="no bus",
            response="answer: no bus",
        ),
    ]
    write_set(rows, folder, "train", ("sharegpt", "verl", "hf"))
    write_preference_set([Pair(one, one.response, "answer: 9", "right_wrong") for one in rows[:2]], folder, "pairs")
    return folder


def prompts(rows: list[Row]) -> list[str]:
    return [one.prompt for one in rows]


@pytest.mark.parametrize(("name", "stage"), [("train", "sft"), ("pairs", "rm")])
def test_llamafactory_loads_it(data: Path, tmp_path: Path, name: str, stage: str) -> None:
    pytest.importorskip("llamafactory")
    from llamafactory.data.loader import _get_merged_dataset
    from llamafactory.hparams import DataArguments, ModelArguments
    from transformers import Seq2SeqTrainingArguments

    arguments = DataArguments(dataset=name, dataset_dir=str(data), media_dir=str(data), template="qwen3_vl_nothink")
    model = ModelArguments(model_name_or_path="none", cache_dir=str(tmp_path / "cache"))
    training = Seq2SeqTrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    loaded = _get_merged_dataset(arguments.dataset, model, arguments, training, stage)
    rows = read_set(data, "train")[: len(loaded)]
    assert [one["_prompt"][0]["content"] for one in loaded] == prompts(rows)
    assert [one["_images"] for one in loaded] == [[str(data / image) for image in r.image] for r in rows]
    replies = [[reply["content"] for reply in one["_response"]] for one in loaded]
    assert replies == [[r.response] if stage == "sft" else [r.response, "answer: 9"] for r in rows]


def test_verl_loads_it(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("verl")
    from omegaconf import OmegaConf
    from verl.utils.dataset.rl_dataset import RLHFDataset

    config = OmegaConf.create({"cache_dir": str(tmp_path), "filter_overlong_prompts": False})
    # It only asks whether there is a processor; prompts are built without it.
    loaded = RLHFDataset([str(data / "train.parquet")], None, config, processor=object())
    rows = read_set(data, "train")
    assert len(loaded) == len(rows)
    for i, wanted in enumerate(rows):
        got: dict[str, Any] = loaded[i]
        parts = got["raw_prompt"][0]["content"]
        assert [part["type"] for part in parts] == ["image"] * len(wanted.image) + ["text"]
        assert [part["image"].size for part in parts[:-1]] == [(64, 64)] * len(wanted.image)
        assert parts[-1]["text"] == wanted.question
        assert got["reward_model"]["ground_truth"] == wanted.answer
        extra = got["extra_info"]
        for field in (
            "uid",
            "ids",
            "difficulty",
            "type",
            "twin_uid",
            "boxes",
            "knowledge",
            "capability",
            "answer_type",
        ):
            assert extra[field] == getattr(wanted, field), field


def test_datasets_loads_it(data: Path) -> None:
    datasets = pytest.importorskip("datasets")
    loaded = datasets.load_from_disk(str(data / "train.hf"))
    rows = read_set(data, "train")
    assert loaded["uid"][:] == [one.uid for one in rows]
    assert [len(pictures) for pictures in loaded["images"]] == [1, 2, 1, 1]
    assert loaded[1]["images"][1].size == (64, 64)
    assert loaded[2]["boxes"] == "relative_1000" and loaded[2]["sub_scores"] == rows[2].sub_scores
    assert not [path for path in data.iterdir() if path.name.startswith(".")]


def test_sets_with_and_without_videos_go_to_both_trainers(data: Path, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    film = dataclasses.replace(row("film"), image=[], video=["/films/a.mp4"])
    picture = row("still", save_image(Image.new("RGB", (32, 32)), tmp_path))
    write_set([film, picture], tmp_path, "mixed")
    write_set([picture], tmp_path, "still")
    mixed, still = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("mixed", "still"))
    assert mixed["videos"].to_pylist() == [[{"video": "/films/a.mp4"}], []]
    assert "videos" not in still.column_names
    assert mixed.schema.field("extra_info") == still.schema.field("extra_info")
    assert mixed["prompt"][0][0]["content"].as_py().startswith("<video>How")


def test_a_line_separator_in_a_text_is_no_new_line(tmp_path: Path) -> None:
    rows = [row("a", save_image(Image.new("RGB", (8, 8)), tmp_path), question="what\u2028is it?")]
    write_set(rows, tmp_path, "train")
    assert read_set(tmp_path, "train") == rows


def test_prompts_without_a_reply_are_for_verl_alone(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    image = save_image(Image.new("RGB", (8, 8)), tmp_path)
    write_set([row("a", image), row("b", image, response="")], tmp_path, "train")
    assert (tmp_path / "train.json").read_text().count('"messages"') == 1
    assert pq.read_metadata(tmp_path / "train.parquet").num_rows == 2
    with pytest.raises(RowError, match="format 'csv' is not one of"):
        write_set([row("a", image)], tmp_path, "x", ("csv",))
    write_set([row("a", image)], tmp_path, "only", ("verl",))
    assert list_sets(tmp_path) == ["train", "only"]
