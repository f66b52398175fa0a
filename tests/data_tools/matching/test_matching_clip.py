"""Matcher clip with a tiny CLIP whose weights are random: the plumbing, not the quality."""

import json

import numpy as np
import pytest
from mindgpt_data.io.work import Work
from mindgpt_data.matching import clip
from mindgpt_data.schema.config import DataSettings
from mindgpt_data.schema.record import ImageRecord
from mindgpt_data.steps import match as step
from mindgpt_data.world import folder

from mindgpt_plugins.core.files import write_jsonl


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    base = tmp_path_factory.mktemp("clip")
    letters = [chr(i) for i in range(33, 127)]
    vocabulary = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (base / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(vocabulary)}))
    (base / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.CLIPTokenizer(str(base / "vocab.json"), str(base / "merges.txt"), model_max_length=77)
    pictures = transformers.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.CLIPConfig(
        text_config={**small, "vocab_size": len(vocabulary), "eos_token_id": len(vocabulary) - 1},
        vision_config={**small, "image_size": 32, "patch_size": 16},
        projection_dim=8,
    )
    transformers.CLIPModel(config).save_pretrained(base / "model")
    transformers.CLIPProcessor(pictures, tokenizer).save_pretrained(base / "model")
    return str(base / "model")


def test_pictures_and_topics_get_unit_vectors_of_one_space(model) -> None:
    from PIL import Image

    towers = clip.Clip(model)
    texts = towers.texts(["a bus", "a stop sign"])
    pictures = towers.images([Image.new("RGB", (40, 30), colour) for colour in ("red", "blue", "green")])
    assert texts.shape == (2, 8)
    assert pictures.shape == (3, 8)
    assert np.allclose(np.linalg.norm(np.concatenate([texts, pictures]), axis=1), 1, atol=1e-5)


def test_the_step_matches_by_the_pictures_themselves(model, tmp_path) -> None:
    folder.write_source_corpus(tmp_path, 3, source="domain")
    work = Work(tmp_path / "work")
    names = [f"domain-0000{i}.png" for i in range(3)]
    records = [ImageRecord(name, [str(tmp_path / name)], 96, 96, name) for name in names]
    records.append(ImageRecord("gone.png", [str(tmp_path / "gone.png")], 96, 96, "gone"))
    write_jsonl(work.images, (record.to_json() for record in records))
    match = {"matcher": "clip", "clip": model, "least_similarity": -1.0}
    settings = DataSettings.model_validate({"images": {"path": "x"}, "match": match})
    step.run(work, settings)
    found = work.read_matches()
    assert [len(topics) for topics in found.values()] == [3, 3, 3, 0]
    assert [drop.key for drop in work.read_drops("match")] == ["gone.png"]
    first = work.matches.read_bytes()
    step.run(work, settings)
    assert work.matches.read_bytes() == first


def test_what_is_no_clip_is_refused(tmp_path) -> None:
    pytest.importorskip("torch")
    with pytest.raises(clip.ClipError, match="cannot be loaded"):
        clip.Clip(str(tmp_path))
