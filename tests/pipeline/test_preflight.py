"""Bad data is found before a trainer meets it, and vision tokens are counted as the processor makes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mindgpt_plugins.core.artefacts import record_artefacts
from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.families.pictures import count_area_tokens
from mindgpt_plugins.inspection.sets import inspect_set
from mindgpt_plugins.pipeline import plan, preflight, preflight_all, runner
from mindgpt_plugins.recipe.loading import load_recipe
from mindgpt_plugins.sizing.samples import read_samples
from mindgpt_plugins.stages.base import SetRead

TAGS = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Three rows with images: fine, truncated, missing."""
    Image.effect_noise((64, 64), 90).save(tmp_path / "good.png")
    data = (tmp_path / "good.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    rows = [
        {
            "uid": name,
            "images": [f"{name}.png"],
            "messages": [{"role": "user", "content": "<image>What?"}, {"role": "assistant", "content": "answer: x"}],
        }
        for name in ("good", "cut", "gone")
    ]
    (tmp_path / "all.json").write_text(json.dumps(rows))
    entry = {"file_name": "all.json", "formatting": "sharegpt", "tags": TAGS}
    entry["columns"] = {"messages": "messages", "images": "images"}
    (tmp_path / "dataset_info.json").write_text(json.dumps({"all": entry}))
    return tmp_path


def test_missing_and_corrupt_images_are_named(dataset: Path) -> None:
    found = inspect_set(dataset, "all").tally.counts
    assert set(found) == {"bad_image", "no_image"}
    assert "uid cut" in found["bad_image"].places[0] and "uid gone" in found["no_image"].places[0]


def test_unknown_set_and_broken_file(dataset: Path) -> None:
    with pytest.raises(StageError, match="lists no set 'al'; it has: all"):
        list(read_samples(dataset, "al"))
    (dataset / "all.json").write_text("[{")
    with pytest.raises(StageError, match="is not valid JSON"):
        list(read_samples(dataset, "all"))


def test_the_sets_of_a_stage_are_looked_at_when_it_is_done(tmp_path: Path) -> None:
    planned = plan.make_run_plan(load_recipe("quickstart"), tmp_path, until="base")
    half = planned.stages[0].folder / "datasets"
    half.mkdir(parents=True)
    (half / "dataset_info.json").write_text("{}")  # killed before its first set was listed
    preflight_all.check_planned_stages(planned)
    assert [runner.render_stage_commands(stage, tmp_path) for stage in planned.stages if stage.status != "not selected"]
    record_artefacts(planned.stages[0].folder, {"datasets": str(half)})
    with pytest.raises(StageError, match=r"lists no set 'general_train'"):
        preflight_all.check_planned_stages(planned)


def test_message_says_what_to_do() -> None:
    read = SetRead("world/train", model="base", limit=128, key="stages.sft.cutoff_len")
    text = preflight.describe_long_row(read, 140, "row 7")
    assert "row 7 has 140 tokens" in text and "raise it to at least 140" in text


@given(st.integers(16, 3000), st.integers(16, 3000), st.sampled_from([(16, 2), (14, 2)]))
def test_vision_tokens_equal_the_processors(width: int, height: int, patch: tuple[int, int]) -> None:
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

    side = patch[0] * patch[1]
    if max(width, height) / min(width, height) > 190:
        return
    low, high = 4 * side * side, 1024 * side * side
    h, w = smart_resize(height, width, factor=side, min_pixels=low, max_pixels=high)
    assert count_area_tokens(width, height, side=side, min_pixels=low, max_pixels=high) == h * w // side**2


def turns(said: str = "answer: red") -> list[dict[str, str]]:
    return [{"role": "user", "content": "<image>What colour?"}, {"role": "assistant", "content": said}]


def listed(folder: Path, file: str, images: str = "images", **entry: Any) -> None:
    entry = {"formatting": "sharegpt", "tags": TAGS, "columns": {"messages": "messages", "images": images}, **entry}
    (folder / "dataset_info.json").write_text(json.dumps({"set": {"file_name": file, **entry}}))


def validated(folder: Path) -> list[str]:
    """What ``mindgpt validate`` says about an sft stage over ``<folder>/set``."""
    recipe = {
        "name": "t",
        "device": "cpu",
        "stages": {
            "train": {
                **{"kind": "sft", "model": "some/model", "data": [f"{folder}/set"]},
                **{"max_steps": 2, "batch_size": 2, "save_steps": 2, "cutoff_len": 128},
            }
        },
    }
    (folder / "recipe.yaml").write_text(json.dumps(recipe))
    (stage,) = plan.make_run_plan(load_recipe(str(folder / "recipe.yaml")), folder / "runs").stages
    return preflight.check_data(stage) + stage.stage.check(stage.config, stage.context)


@pytest.mark.parametrize("kind", ["parquet", "arrow", "lines.json", "array.jsonl", "blank.jsonl", "bom.jsonl", "parts"])
def test_every_file_that_the_host_loads_is_looked_into(tmp_path: Path, kind: str) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    rows = [{"uid": f"u{i}", "messages": turns(), "images": ["a.png"]} for i in range(4)]
    rows[3]["images"] = ["gone.png"]
    lines = [json.dumps(row) + "\n" for row in rows]
    file = tmp_path / f"set.{kind}"
    listed(tmp_path, file.name)
    if kind == "parquet":
        parquet.write_table(pa.Table.from_pylist(rows), file)
    elif kind == "arrow":
        table = pa.Table.from_pylist(rows)
        with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    elif kind == "parts":
        file.mkdir()
        (file / "1.jsonl").write_text("".join(lines[:2]))
        (file / "2.json").write_text(json.dumps(rows[2:]))
    else:
        text = {"lines.json": "".join(lines), "array.jsonl": json.dumps(rows), "blank.jsonl": " \n".join(lines)}
        file.write_bytes(text.get(kind, "\ufeff" + "".join(lines)).encode("utf-8"))
    (problem,) = validated(tmp_path)
    assert "a picture does not exist: row 3 (uid u3)" in problem and "gone.png" in problem
    Image.new("RGB", (64, 64)).save(tmp_path / "gone.png")
    assert validated(tmp_path) == []


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085"])
def test_separators_inside_a_text_end_no_line(tmp_path: Path, separator: str) -> None:
    said = f"answer: red{separator}(signal)"
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    rows = [{"uid": f"u{i}", "messages": turns(said), "images": ["a.png"]} for i in range(2)]
    (tmp_path / "set.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    listed(tmp_path, "set.jsonl")
    assert validated(tmp_path) == []
    assert [s.messages[1][1] for s in read_samples(tmp_path, "set")] == [said, said]


def test_a_single_picture_may_be_a_plain_string(tmp_path: Path) -> None:
    """LLaVA's own layout."""
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    talk = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "answer: red"}]
    rows = [{"id": str(i), "image": "a.png", "conversations": talk} for i in range(2)]
    (tmp_path / "set.json").write_text(json.dumps(rows))
    info = {"formatting": "sharegpt", "columns": {"messages": "conversations", "images": "image"}}
    (tmp_path / "dataset_info.json").write_text(json.dumps({"set": {"file_name": "set.json", **info}}))
    assert validated(tmp_path) == []
    assert [s.images for s in read_samples(tmp_path, "set")] == [(tmp_path / "a.png",)] * 2
    assert [s.messages[0][0] for s in read_samples(tmp_path, "set")] == ["user"] * 2


def test_pictures_inside_a_table_are_opened(tmp_path: Path) -> None:
    import io

    import pyarrow as pa
    from pyarrow import parquet

    stream = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(stream, "PNG")
    good = stream.getvalue()
    rows = [
        {"uid": name, "messages": turns(), "images": [{"bytes": data, "path": None}]}
        for name, data in (("fine", good), ("cut", good[: len(good) // 2]))
    ]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "set.parquet")
    listed(tmp_path, "set.parquet")
    (problem,) = validated(tmp_path)
    assert "cannot be read: row 1 (uid cut): picture 0" in problem


def test_alpaca_rows_are_counted_as_the_host_joins_them(tmp_path: Path) -> None:
    row = {"instruction": "Add.", "input": "1 and 2", "output": "3", "past": [["Hi", "Hello"]], "images": ["a.png"]}
    (tmp_path / "set.json").write_text(json.dumps([row]))
    (tmp_path / "dataset_info.json").write_text(json.dumps({"set": {"file_name": "set.json"}}))
    (sample,) = read_samples(tmp_path, "set")
    assert sample.messages == (("user", "Add.\n1 and 2"), ("assistant", "3"))
    assert sample.images == ()  # an entry without columns names no pictures, and the host reads none
    columns = {"prompt": "instruction", "response": "output", "history": "past"}
    (tmp_path / "dataset_info.json").write_text(json.dumps({"set": {"file_name": "set.json", "columns": columns}}))
    (sample,) = read_samples(tmp_path, "set")
    assert sample.messages == (("user", "Hi"), ("assistant", "Hello"), ("user", "Add."), ("assistant", "3"))
