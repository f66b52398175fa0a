"""Bad data is found before a trainer meets it, and vision tokens are counted as the processor makes them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.pipeline import plan, preflight, preflight_all, runner
from mindgpt_plugins.recipe.loading import load
from mindgpt_plugins.sizing.pictures import vision_tokens
from mindgpt_plugins.sizing.samples import read_samples
from mindgpt_plugins.stages.base import TokenLimit

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
    problems = preflight.image_problems(dataset, "all")
    assert len(problems) == 2
    assert "uid cut" in problems[0] and "cannot be read" in problems[0]
    assert "uid gone" in problems[1] and "does not exist" in problems[1]


def test_unknown_set_and_broken_file(dataset: Path) -> None:
    with pytest.raises(StageError, match="lists no set 'al'; it has: all"):
        list(read_samples(dataset, "al"))
    (dataset / "all.json").write_text("[{")
    with pytest.raises(StageError, match="is not valid JSON"):
        list(read_samples(dataset, "all"))


def test_the_sets_of_a_stage_are_looked_at_when_it_is_done(tmp_path: Path) -> None:
    planned = plan.make(load("quickstart"), tmp_path, until="base")
    half = planned.stages[0].folder / "datasets"
    half.mkdir(parents=True)
    (half / "dataset_info.json").write_text("{}")  # killed before its first set was listed
    preflight_all.require(planned)
    assert [runner.commands(stage, tmp_path) for stage in planned.stages if stage.status != "not selected"]
    world = {
        name: f"datasets/{Path(path).name}"
        for name, path in planned.stages[0].stage.artefacts(planned.stages[0].config, planned.stages[0].context).items()
    }
    (planned.stages[0].folder / "artefacts.json").write_text(json.dumps(world))
    with pytest.raises(StageError, match=r"lists no set 'general_train'"):
        preflight_all.require(planned)


def test_message_says_what_to_do() -> None:
    limit = TokenLimit("world/train", "base", 128, "stages.sft.cutoff_len")
    text = preflight.too_long(preflight.Longest(limit, 140, "row 7", 10))
    assert "row 7 has 140 tokens" in text and "raise it to at least 140" in text


@given(st.integers(16, 3000), st.integers(16, 3000), st.sampled_from([(16, 2), (14, 2)]))
def test_vision_tokens_equal_the_processors(width: int, height: int, patch: tuple[int, int]) -> None:
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

    side = patch[0] * patch[1]
    if max(width, height) / min(width, height) > 190:
        return
    low, high = 4 * side * side, 1024 * side * side
    h, w = smart_resize(height, width, factor=side, min_pixels=low, max_pixels=high)
    assert vision_tokens(width, height, side=side, min_pixels=low, max_pixels=high) == h * w // side**2
