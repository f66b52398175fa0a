"""A pass over a set: every kind of fault is counted and placed, and the command shows and refuses it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from mindgpt_plugins.cli import build_cli_app
from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.inspection import sets
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


def make_rotated(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 30)).save(path, "JPEG", exif=exif)


PICTURES: dict[str, Callable[[Path], None]] = {
    "deep_grey": make_deep,
    "cmyk": lambda path: Image.new("CMYK", (20, 20)).save(path, "JPEG"),
    "transparent": lambda path: Image.new("RGBA", (20, 20), (0, 0, 0, 90)).save(path, "PNG"),
    "animated": make_animation,
    "rotated": make_rotated,
    "cropped": lambda path: Image.new("RGB", (900, 3)).save(path, "PNG"),
    "bad_image": lambda path: path.write_bytes(b"<html>"),
    "no_image": lambda path: None,
}


@pytest.mark.parametrize("decoded", [2000, 0])
@pytest.mark.parametrize("kind", PICTURES)
def test_pictures(tmp_path: Path, kind: str, decoded: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sets, "FULL_DECODE", decoded)  # beyond so many pictures, headers and checksums only
    PICTURES[kind](tmp_path / "b")
    found = inspect(tmp_path, [row(0), row(1, "b"), row(2, "b")]).tally
    assert list(found.counts) == [kind]
    (place,) = found.counts[kind].places
    assert "row 1 (uid u1) and 1 more rows" in place
    assert bool(found.stopping()) is (kind in ("bad_image", "no_image"))


def test_an_opaque_alpha_channel_is_no_fault(tmp_path: Path) -> None:
    Image.new("RGBA", (20, 20), (9, 9, 9, 255)).save(tmp_path / "b", "PNG")
    assert not inspect(tmp_path, [row(0, "b")]).tally.counts


def test_verl_and_evaluation_take_no_long_picture(tmp_path: Path) -> None:
    from mindgpt_data.export import write_set
    from mindgpt_data.schema.rows import Row

    Image.new("RGB", (900, 3)).save(tmp_path / "long.png")
    write_set([Row("u", ["long.png"], "What?", "red", "answer: red", "text", "s", "c")], tmp_path, "set")
    for reader in ("verl", "rows"):
        assert list(inspect_set(tmp_path, "set", reader).tally.counts) == ["aspect_ratio"]  # type: ignore[arg-type]
    assert list(inspect_set(tmp_path, "set").tally.counts) == ["cropped"]


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
    assert found.rows == 6 and set(places) == {"placeholders", "no_answer_type", "gold", "float_gold", "malformed"}
    assert "row 1 (uid tag)" in places["placeholders"] and "row 5 (uid empty)" in places["malformed"]
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
