"""One row of a set and one reply are one rollout, whichever of three ways it comes."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
from mindgpt_data.export import write_set
from mindgpt_data.schema.rows import Row
from PIL import Image
from pyarrow import parquet

from mindgpt_plugins.rewards import recorded
from mindgpt_plugins.rewards.rows import make_image_loader, make_rollout_from_row
from mindgpt_plugins.rewards.sdk import Rollout
from mindgpt_plugins.stages.rl.evidence import _gold_replies
from mindgpt_plugins.verl_ext.step.rows import make_rollout_from_verl

ROW = Row(
    uid="r1", image=["images/a.png"], question="Where is it?", answer="[1, 2, 3, 4]",
    response="There. answer: [1, 2, 3, 4]", answer_type="box", source="domain", capability="grounding.box",
    knowledge="transport.road", difficulty=0.75, boxes="relative_1000",
)  # fmt: skip
TOKENS = [5, 6, 7, 8]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (8, 4), "red").save(tmp_path / "images" / "a.png")
    write_set([ROW], tmp_path, "train")
    return tmp_path


def of_verl(folder: Path) -> Rollout:
    (row,) = parquet.read_table(folder / "train.parquet").to_pylist()
    prompt = [{"role": "user", "content": [{"type": "image", "image": Image.open(folder / "images" / "a.png")}]}]
    return make_rollout_from_verl(row, ROW.response, TOKENS, 3, 5, prompt=prompt)


def of_dump(folder: Path) -> Rollout:
    """A line as verl's dump with our columns writes it."""
    r = of_verl(folder)
    line = {
        "input": r.prompt, "output": r.text, "gts": r.target, "score": 1.0, "step": r.step, "row": r.uid,
        "source": r.source, "type": r.type, "answer_type": r.answer_type, "boxes": r.boxes, "labels": dict(r.labels),
        "difficulty": r.difficulty, "image": ROW.image, "group": "g", "tokens": r.length,
    }  # fmt: skip
    (folder / "3.jsonl").write_text(json.dumps(line) + "\n")
    (found,) = recorded.read_recorded_rollouts(folder / "3.jsonl", total_steps=5, images=folder)
    assert found.guessed == ()
    return found.rollout


def test_every_field_is_filled_and_the_same(folder: Path) -> None:
    verl = of_verl(folder)
    default = Rollout("", "")
    same = {"type"}  # its default is what this row has
    assert {f.name for f in fields(verl) if getattr(verl, f.name) == getattr(default, f.name)} == same
    assert verl.labels == {"knowledge": "transport.road", "capability": "grounding.box"}
    assert (verl.token_ids, verl.length, verl.progress) == (TOKENS, 4, 0.5)
    assert of_dump(folder) == replace(verl, token_ids=())
    (gold,) = _gold_replies(folder, "train")
    words = len(ROW.response.split())
    assert gold.rollout == replace(verl, token_ids=(), length=words, step=1, progress=1.0)
    for rollout in (verl, of_dump(folder), gold.rollout):
        assert [image.size for image in rollout.images()] == [(8, 4)]


def test_what_a_row_does_not_say_has_the_rollouts_default() -> None:
    bare = make_rollout_from_row({"answer_type": "", "labels": None, "difficulty": None}, "a b", step=0, progress=0.0)
    assert bare == Rollout("a b", "", length=2)
    assert make_rollout_from_row({"answer": 0, "uid": 0}, "", step=0, progress=0.0) == Rollout("", "0", uid="0")


def test_one_picture_may_stand_without_a_list(folder: Path) -> None:
    for row in ({"image": "images/a.png"}, {"image": ["images/a.png"]}):
        assert len(make_image_loader(folder, row)()) == 1
    assert make_image_loader(folder, {})() == []


def test_a_dump_with_token_ids_gives_them_to_rewards(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(json.dumps({"text": "a b", "target": "a", "token_ids": TOKENS, "step": 1}))
    (one,) = recorded.read_recorded_rollouts(tmp_path / "x.jsonl")
    assert (one.rollout.token_ids, one.rollout.length) == (TOKENS, 4) and "length" not in one.guessed
