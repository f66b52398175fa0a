"""A pass over a set: every kind of fault is counted and placed, and the command shows and refuses it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from PIL import Image
from typer.testing import CliRunner

from mindgpt_plugins.cli import build_cli_app
from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.families import PixelLimits, family
from mindgpt_plugins.inspection import longest, picture_files, sets
from mindgpt_plugins.inspection.faults import FAULTS
from mindgpt_plugins.inspection.sets import SetInspection, inspect_set

TAGS = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
ENTRY = {"formatting": "sharegpt", "tags": TAGS, "columns": {"messages": "messages", "images": "images"}}


def row(uid: int, picture: str = "a.png", said: str = "answer: red", **more: Any) -> dict[str, Any]:
    talk = [{"role": "user", "content": "<image>What?"}, {"role": "assistant", "content": said}]
    return {"uid": f"u{uid}", "messages": talk, "images": [picture], **more}


def write(folder: Path, rows: list[dict[str, Any]]) -> None:
    Image.new("RGB", (64, 64)).save(folder / "a.png")
    (folder / "set.json").write_text(json.dumps(rows))
    (folder / "dataset_info.json").write_text(json.dumps({"set": {"file_name": "set.json", **ENTRY}}))


def inspect(folder: Path, rows: list[dict[str, Any]], **more: Any) -> SetInspection:
    write(folder, rows)
    return inspect_set(folder, "set", **more)


def make_deep(path: Path) -> None:
    Image.new("I;16", (20, 20), 3000).save(path, "PNG")


def make_animation(path: Path) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    frames[0].save(path, "GIF", save_all=True, append_images=frames[1:])


PICTURES: dict[str, Callable[[Path], None]] = {
    "deep_grey": make_deep,
    "cmyk": lambda path: Image.new("CMYK", (20, 20)).save(path, "JPEG"),
    "transparent": lambda path: Image.new("RGBA", (20, 20), (0, 0, 0, 90)).save(path, "PNG"),
    "animated": make_animation,
    "cropped": lambda path: Image.new("RGB", (900, 3)).save(path, "PNG"),
    "bad_image": lambda path: path.write_bytes(b"<html>"),
    "no_image": lambda path: None,
}


@pytest.mark.parametrize("kind", PICTURES)
def test_pictures(tmp_path: Path, kind: str) -> None:
    PICTURES[kind](tmp_path / "b")
    found = inspect(tmp_path, [row(0), row(1, "b"), row(2, "b")]).tally
    assert list(found.counts) == [kind]
    (place,) = found.counts[kind].places
    assert "row 1 (uid u1) and 1 more rows" in place
    assert bool(found.stopping()) is (kind in ("bad_image", "no_image"))


def test_many_pictures_are_looked_at_by_other_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, make in PICTURES.items():
        make(tmp_path / kind)
    rows = [row(number, kind) for number, kind in enumerate([*PICTURES, "cmyk"])]
    decoded = inspect(tmp_path, rows).tally.counts
    monkeypatch.setattr(picture_files, "FULL_DECODE", 3)
    monkeypatch.setattr(picture_files, "_BATCH", 2)
    assert inspect(tmp_path, rows).tally.counts == decoded
    assert list(decoded) == list(PICTURES) and "row 1 (uid u1) and 1 more rows" in decoded["cmyk"].places[0]


def test_an_opaque_alpha_channel_is_no_fault(tmp_path: Path) -> None:
    Image.new("RGBA", (20, 20), (9, 9, 9, 255)).save(tmp_path / "b", "PNG")
    assert not inspect(tmp_path, [row(0, "b")]).tally.counts


def test_labels(tmp_path: Path) -> None:
    rows = [
        row(0, answer_type="number", answer="many", difficulty=0.5),
        row(1, answer_type="nubmer", answer="5", difficulty=7),
        row(2, difficulty="hard"),
        row(3),
    ]
    found = inspect(tmp_path, rows).tally
    assert {kind: one.count for kind, one in found.counts.items()} == {"gold": 1, "answer_type": 1, "odd_difficulty": 2}
    needed = inspect(tmp_path, rows, difficulty="difficulty").tally
    assert needed.counts["no_difficulty"].count == 2 and needed.counts["odd_difficulty"].count == 1


def test_a_column_that_no_row_has_and_one_that_some_lack(tmp_path: Path) -> None:
    talk = row(0)["messages"]
    plain = [{"role": "user", "content": "What?"}, talk[1]]
    assert not inspect(tmp_path, [row(0), {"uid": "u1", "messages": plain}]).tally.counts
    found = inspect(tmp_path, [{"uid": "u1", "messages": plain}]).tally
    assert found.counts["no_column"].places == ["every row: no 'images' (images)"]


def verl_row(uid: str, **more: Any) -> dict[str, Any]:
    return {
        "prompt": [{"role": "user", "content": "What?"}],
        "data_source": "s",
        "reward_model": {"style": "rule", "ground_truth": "red"},
        "extra_info": {"uid": uid, "answer_type": "text"},
        **more,
    }


def test_verls_rows(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    rows = [
        verl_row("fine"),
        verl_row("tag", prompt=[{"role": "user", "content": "<image>What?"}]),
        verl_row("untyped", extra_info={"uid": "untyped", "answer_type": None}),
        verl_row("gold", reward_model={"style": "rule", "ground_truth": ""}),
        verl_row("float", reward_model={"style": "rule", "ground_truth": "5.0"}),
        verl_row("empty", prompt=[]),
    ]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "set.parquet")
    found = inspect_set(tmp_path, "set", "verl")
    places = {kind: one.places[0] for kind, one in found.tally.counts.items()}
    assert found.rows == 6 and set(places) == {"tag_as_text", "no_answer_type", "gold", "float_gold", "malformed"}
    assert "row 1 (uid tag)" in places["tag_as_text"] and "row 5 (uid empty)" in places["malformed"]
    assert "row 4 (uid float)" in places["float_gold"] and "'5.0'" in places["float_gold"]
    with pytest.raises(StageError, match=r"verl reads .*other\.parquet, which does not exist"):
        inspect_set(tmp_path, "other", "verl")


def test_our_own_rows(tmp_path: Path) -> None:
    from mindgpt_data.schema.rows import Row

    rows = [
        Row(uid, [], question, answer, "", kind, "s", "c").to_json()
        for uid, question, answer, kind in (
            ("a", "What?", "5", "number"),
            ("b", "What?", "many", "number"),
            ("c", "<image>?", "x", "text"),
        )
    ]
    rows.append({**rows[0], "difficulty": 7.0})
    (tmp_path / "set.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    found = inspect_set(tmp_path, "set", "rows").tally.counts
    assert {kind: one.count for kind, one in found.items() if kind != "odd_difficulty"} == {
        "gold": 1,
        "placeholders": 1,
        "malformed": 1,
    }


def recipe(folder: Path, **stage: Any) -> str:
    settings = {"kind": "sft", "model": "some/model", "data": [f"{folder}/set"], "max_steps": 2, "batch_size": 2}
    content = {
        "name": "t",
        "device": "cpu",
        "stages": {"train": settings | {"save_steps": 2, "cutoff_len": 128} | stage},
    }
    (folder / "recipe.yaml").write_text(json.dumps(content))
    return str(folder / "recipe.yaml")


def test_the_command_refuses_counts_and_allows(tmp_path: Path) -> None:
    turned = row(5)
    turned["messages"].reverse()
    write(tmp_path, [row(0), row(1), turned, row(3, said="")])
    app, run = build_cli_app(), CliRunner().invoke
    refused = run(app, ["validate", recipe(tmp_path), "--runs", str(tmp_path / "runs")])
    assert refused.exit_code != 0
    told = str(refused.exception) + refused.output
    assert "1 row: turns are not user and assistant in alternation" in told and "row 2 (uid u5)" in told
    allowed = run(app, ["validate", recipe(tmp_path, drop_invalid=True), "--runs", str(tmp_path / "runs")])
    assert allowed.exit_code == 0, allowed.output
    assert (
        "4 − 1" in allowed.output and "note: stages.train" in allowed.output and "the reply is empty" in allowed.output
    )
    listed = run(app, ["validate", recipe(tmp_path), "--json", "--runs", str(tmp_path / "runs")])
    found = json.loads(listed.stdout)
    assert listed.exit_code == 1 and not found["valid"] and found["sets"][0]["rows"] == 4
    assert {one["kind"]: one["count"] for one in found["sets"][0]["faults"]} == {"roles": 1, "empty_reply": 1}


def test_a_run_says_before_it_starts_how_many_answers_are_read_as_what(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    (tmp_path / "dataset_info.json").write_text("{}")
    gold = {"style": "rule", "ground_truth": "5.0"}
    rows = [verl_row("a"), verl_row("b", reward_model=gold), verl_row("c", extra_info={"uid": "c", "answer_type": ""})]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "set.parquet")
    stage = {"kind": "rl", "model": "some/model", "train": f"{tmp_path}/set", "rewards": {"accuracy": {}}, "steps": 2}
    stage["curriculum"] = "shuffled"
    (tmp_path / "rl.yaml").write_text(json.dumps({"name": "t", "device": "cpu", "stages": {"rl": stage}}))
    args = ["run", str(tmp_path / "rl.yaml"), "--dry-run", "--runs", str(tmp_path / "runs")]
    done = CliRunner().invoke(build_cli_app(), args)
    assert done.exit_code == 0, (done.output, done.exception)
    assert done.output.count("there is no answer_type") == done.output.count("turned into a float") == 1
    assert "1 row: there is no answer_type" in done.output and "row 2 (uid c)" in done.output


def test_the_page_lists_every_kind() -> None:
    text = (Path(__file__).parents[2] / "docs" / "rows.md").read_text(encoding="utf-8")
    for name, kind in FAULTS.items():
        assert f"| `{name}` | {kind.effect} | {kind.what} | {kind.fix} |" in text


def write_verl(folder: Path, rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.Table.from_pylist(rows), folder / "set.parquet")


def test_verl_rows_of_other_shapes(tmp_path: Path) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / "a.png")
    ask = [{"role": "user", "content": "<image>What?"}]
    here, there = {"image": str(tmp_path / "a.png")}, {"image": "a.png"}
    write_verl(tmp_path, [
        verl_row("fine", prompt=ask, images=[here]),
        verl_row("far", prompt=ask, images=[{"image": "https://example.org/a.png"}]),
        verl_row("relative", prompt=ask, images=[there]),
        verl_row("two", prompt=ask, images=[here, here]),
    ])  # fmt: skip
    found = inspect_set(tmp_path, "set", "verl").tally.counts
    assert {kind: [place[:5] for place in one.places] for kind, one in found.items()} == {
        "relative_image": ["row 2"],
        "placeholders": ["row 3"],
    }
    parts = [{"type": "text", "text": "What?"}]
    write_verl(tmp_path, [verl_row("parts", prompt=[{"role": "user", "content": parts}])])
    assert list(inspect_set(tmp_path, "set", "verl").tally.counts) == ["not_counted"]  # verl takes them as they are
    row = verl_row("named")
    write_verl(tmp_path, [{**{key: row[key] for key in row if key != "prompt"}, "talk": row["prompt"]}])
    assert list(inspect_set(tmp_path, "set", "verl").tally.counts) == ["no_column"]
    assert not inspect_set(tmp_path, "set", "verl", columns={"prompt": "talk"}).tally.counts


def test_the_difficulty_of_verls_rows_is_in_extra_info(tmp_path: Path) -> None:
    info = {"answer_type": "text"}
    write_verl(tmp_path, [
        verl_row("fine", extra_info={**info, "difficulty": 0.5}),
        verl_row("odd", extra_info={**info, "difficulty": 3.0}),
        verl_row("none", extra_info=info),
    ])  # fmt: skip
    needed = inspect_set(tmp_path, "set", "verl", difficulty="difficulty").tally.counts
    assert {kind: [place[:5] for place in one.places] for kind, one in needed.items()} == {
        "odd_difficulty": ["row 1"],
        "no_difficulty": ["row 2"],
    }
    assert list(inspect_set(tmp_path, "set", "verl").tally.counts) == ["odd_difficulty"]


def test_columns_that_verl_is_told_are_looked_for() -> None:
    from mindgpt_plugins.stages.rl.config import RLConfig
    from mindgpt_plugins.stages.rl.stage import RL

    settings = {"kind": "rl", "model": "m", "train": "d/set", "steps": 1, "rewards": {"accuracy": {}}}
    (read,) = RL().set_reads(RLConfig.model_validate({**settings, "verl": {"data": {"prompt_key": "talk"}}}))
    assert read.columns == (("prompt", "talk"),)
    assert [one.difficulty for one in RL().set_reads(RLConfig.model_validate({**settings, "curriculum": None}))] == [
        None
    ]
    for asks in ({"curriculum": "easy_to_hard"}, {"curriculum": None, "group_size_by_difficulty": {0.5: 8}}):
        assert RL().set_reads(RLConfig.model_validate({**settings, **asks}))[0].difficulty == "difficulty"
    own = {"data": {"custom_cls": {"path": "x.py", "name": "X"}}}
    assert RL().set_reads(RLConfig.model_validate({**settings, "verl": own})) == []


def test_videos_must_exist_and_are_not_counted(tmp_path: Path) -> None:
    entry = {**ENTRY, "columns": {"messages": "messages", "videos": "videos"}}
    talk = [{"role": "user", "content": "<video>What?"}, {"role": "assistant", "content": "red"}]
    (tmp_path / "there.mp4").touch()
    rows = [{"messages": talk, "videos": [name]} for name in ("there.mp4", "gone.mp4")]
    (tmp_path / "set.json").write_text(json.dumps(rows))
    (tmp_path / "dataset_info.json").write_text(json.dumps({"set": {"file_name": "set.json", **entry}}))
    found = inspect_set(tmp_path, "set").tally
    assert found.counts["not_counted"].count == 2
    assert [one.kind for one in found.stopping()] == ["no_media"] and "gone.mp4" in found.counts["no_media"].places[0]


@pytest.mark.parametrize("who", [["user"], {"a": 1}, 3, None])
def test_a_role_may_be_anything(tmp_path: Path, who: Any) -> None:
    odd = row(1)
    odd["messages"][0]["role"] = who
    assert list(inspect(tmp_path, [row(0), odd]).tally.counts) == ["roles"]


class Refusing:
    """A tokenizer whose chat template takes no row that says so."""

    chat_template = "{{ … }}"
    bos_token = None
    all_special_tokens: ClassVar[list[str]] = ["<|end|>"]
    added_tokens_decoder: ClassVar[dict[int, Any]] = {}

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        return ["<|image|>"] * len(ids)

    def apply_chat_template(self, chat: list[dict[str, Any]], **options: Any) -> str:
        text = " ".join(part.get("text", "<|image|>") for turn in chat for part in turn["content"])
        if "refuse" in text:
            raise TypeError("Conversation roles must alternate")
        return text

    def __call__(self, texts: list[str], **options: Any) -> dict[str, list[list[str]]]:
        return {"input_ids": [text.split() for text in texts]}


AREAS = {"image_processor_type": "Qwen2VLImageProcessor", "size": {"shortest_edge": 1024, "longest_edge": 10_000}}
"""Settings of an image processor that need no processor to be counted with."""


def test_rows_that_the_template_refuses_are_told_and_tokens_in_texts_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "tokenizer_config.json").write_text("{}")
    (model / "config.json").write_text(json.dumps({"image_token_id": 5, "vision_config": {}}))
    (model / "preprocessor_config.json").write_text(json.dumps({**AREAS, "patch_size": 16, "merge_size": 2}))
    for module in (longest, family):
        monkeypatch.setattr(module, "load_tokenizer", lambda folder: Refusing())
    rows = [row(0, said="one two three"), row(1, said="refuse"), row(2, said="an <|image|>"), row(3, said="<|end|>")]
    found = inspect(tmp_path, rows, measure=sets.Measure(str(model), PixelLimits(1024, 10_000), True))
    assert {kind: one.places[0][:5] for kind, one in found.tally.counts.items()} == {
        "not_counted": "row 1",
        "special_token": "row 2",
        "control_token": "row 3",
    }
    assert "must alternate" in found.tally.counts["not_counted"].places[0]
    assert found.place == "row 0 (uid u0)" and found.tokens is not None and found.tokens > 4
    Path(tmp_path / "a.png").unlink()  # of a set that a stage has made, whose pictures are not looked at
    (tmp_path / "set.json").write_text(json.dumps(rows[:1]))
    lost = inspect_set(
        tmp_path, "set", measure=sets.Measure(str(model), PixelLimits(1024, 10_000), True), pictures_too=False
    )
    assert list(lost.tally.counts) == ["bad_image"]


def test_a_relative_media_dir_is_the_recipes_for_the_check_and_for_the_host(tmp_path: Path) -> None:
    import yaml

    from mindgpt_plugins.pipeline import plan, preflight
    from mindgpt_plugins.recipe.loading import load_recipe
    from mindgpt_plugins.stages.sft.stage import SFTStage

    (tmp_path / "pictures").mkdir()
    write(tmp_path, [row(0)])
    (tmp_path / "a.png").rename(tmp_path / "pictures" / "a.png")
    settings = {"llamafactory": {"media_dir": "pictures"}}
    (stage,) = plan.make_run_plan(load_recipe(recipe(tmp_path, **settings)), tmp_path / "runs").stages
    assert preflight.check_data(stage) == []
    stage.folder.mkdir(parents=True)
    SFTStage().render(stage.config, stage.context)  # type: ignore[arg-type]
    train = yaml.safe_load((stage.folder / "train.yaml").read_text())
    assert train["media_dir"] == str(tmp_path / "pictures")
