"""What a stage reads is part of its hash, what lies around it is not, and the reason names what has changed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rich.console import Console

from mindgpt_plugins.core import artefacts, sources
from mindgpt_plugins.core.own_folders import MARK
from mindgpt_plugins.pipeline import plan, runner
from mindgpt_plugins.recipe.loading import load_recipe

PLUGIN = """
from typing import Annotated, Literal
from mindgpt_plugins.core.registry import register
from mindgpt_plugins.core.schema import HOW, DatasetRef, ModelRef, PathRef, PicturesRef, StageConfig
from mindgpt_plugins.stages.base import Command, SetRead, Stage

class LookConfig(StageConfig):
    kind: Literal["look"] = "look"
    data: DatasetRef | None = None
    model: ModelRef | None = None
    pictures: PicturesRef | None = None
    tree: PathRef | None = None
    reader: Literal["llamafactory", "verl", "rows"] = "llamafactory"
    workers: Annotated[int, HOW] = 1

@register("stage", "look")
class Look(Stage):
    Config = LookConfig
    side = "data"
    def render(self, config, context):
        return [Command(("-c", "open('seen', 'w')"))]
    def artefacts(self, config, context):
        return {"seen": str(context.folder / "seen")}
    def set_reads(self, config):
        return [SetRead(config.data, config.reader)] if config.data else []
"""
TAGS = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
COLUMNS = {"messages": "messages", "images": "images", "videos": "videos"}
ENTRY = {"file_name": "general.json", "formatting": "sharegpt", "tags": TAGS, "columns": COLUMNS}
NAMES = [f"images/{letter}.png" for letter in "abcd"]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A recipe's folder with a set in each format, four pictures, a manifest, a model and a tree."""
    import pyarrow as pa
    from pyarrow import parquet

    (tmp_path / "look.py").write_text(PLUGIN)
    for number, name in enumerate(NAMES):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (64, 64), (number, 0, 0)).save(tmp_path / name)
    write_rows(tmp_path, NAMES)
    (tmp_path / "dataset_info.json").write_text(json.dumps({"general": ENTRY}))
    prompt = [{"role": "user", "content": "<image>What is it?"}]
    model = {"style": "rule", "ground_truth": "red"}
    shown = [{"prompt": prompt, "data_source": "x", "reward_model": model, "extra_info": {"answer_type": "text"},
              "images": [{"image": str(tmp_path / name)}]} for name in NAMES]  # fmt: skip
    parquet.write_table(pa.Table.from_pylist(shown), tmp_path / "general.parquet")
    row = {"question": "?", "answer": "red", "response": "answer: red", "answer_type": "text", "source": "general"}
    lines = [{"uid": name, "image": [name], "capability": "perception.colour", **row} for name in NAMES]
    (tmp_path / "general.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "manifest.jsonl").write_text("".join(json.dumps({"image": name}) + "\n" for name in NAMES))
    for name in ("ckpt/config.json", "ckpt/checkpoint-1/config.json", "trees/a.yaml", "trees/sub/b.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    return tmp_path


def write_rows(folder: Path, names: list[str]) -> None:
    said = [{"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": "It is red."}]
    rows = [{"messages": said, "images": [name], "videos": []} for name in names]
    (folder / "general.json").write_text(json.dumps(rows))


def make(here: Path, stage: dict[str, Any], *overrides: str, **options: Any) -> plan.PlannedStage:
    recipe = {"name": "r", "plugins": ["./look.py"], "device": "cpu", "stages": {"s": {"kind": "look", **stage}}}
    (here / "r.yaml").write_text(json.dumps(recipe))
    return plan.make_run_plan(load_recipe(str(here / "r.yaml"), overrides), here / "runs", **options).stages[0]


def run(here: Path, stage: dict[str, Any], *overrides: str) -> plan.PlannedStage:
    make(here, stage)
    planned = plan.make_run_plan(load_recipe(str(here / "r.yaml"), overrides), here / "runs")
    runner.run_plan(planned, Console(quiet=True))
    return planned.stages[0]


def paint(path: Path) -> None:
    Image.new("RGB", (64, 64), (9, 9, 9)).save(path)


READS = {
    "set": {"data": "./general"},
    "verl": {"data": "./general", "reader": "verl"},
    "rows": {"data": "./general", "reader": "rows"},
    "manifest": {"pictures": "manifest.jsonl"},
    "folder": {"pictures": "."},
    "model": {"model": "./ckpt"},
    "tree": {"tree": "trees"},
}


@pytest.mark.parametrize("stage", READS.values(), ids=READS)
def test_a_recipe_beside_its_data_reuses_and_resumes_with_its_runs_inside(here: Path, stage: dict[str, Any]) -> None:
    done = run(here, stage)
    # A run leaves pictures, too: they are our own output, not new input.
    paint(done.folder / "made.png")
    assert (make(here, stage).status, make(here, stage).folder) == ("reuse", done.folder)
    (done.folder / artefacts.DONE).unlink()
    assert (make(here, stage).status, make(here, stage).folder) == ("resume", done.folder)


@pytest.mark.parametrize("stage", READS.values(), ids=READS)
def test_what_lies_around_does_not_count(here: Path, stage: dict[str, Any]) -> None:
    before = make(here, stage).digest
    around = ("notes.txt", "log.txt", ".git/index", "thumbs/index.db", "ckpt/checkpoint-1/config.json", "trees/.swp")
    for name in around:
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_text("another line")
    entries = {"general": ENTRY, "other": {**ENTRY, "file_name": "other.json"}}
    (here / "dataset_info.json").write_text(json.dumps(entries, indent=3))
    if "pictures" not in stage or stage["pictures"] != ".":
        paint(here / "images" / "unnamed.png")
    assert make(here, stage).digest == before


CHANGES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "picture": ("set", lambda f: paint(f / NAMES[1]), "images/b.png"),
    "pictures": ("set", lambda f: [paint(f / name) for name in NAMES[1:]], "3 pictures (first: images/b.png)"),
    "row": ("set", lambda f: write_rows(f, NAMES[:3]), "general.json, images/d.png (no longer read)"),
    "entry": (
        "set",
        lambda f: (f / "dataset_info.json").write_text(json.dumps({"general": {**ENTRY, "split": "x"}})),
        "dataset_info.json (general)",
    ),
    "gone": ("set", lambda f: (f / NAMES[0]).unlink(), "images/a.png"),
    "verl": ("verl", lambda f: paint(f / NAMES[1]), "{here}/images/b.png"),
    "rows": ("rows", lambda f: paint(f / NAMES[1]), "images/b.png"),
    "manifest": ("manifest", lambda f: paint(f / NAMES[3]), "images/d.png"),
    "line": ("manifest", lambda f: (f / "manifest.jsonl").open("a").write("\n"), "manifest.jsonl"),
    "new": ("folder", lambda f: [paint(f / f"images/{n}.png") for n in "xy"], "2 pictures more (first: images/x.png)"),
    "weights": ("model", lambda f: (f / "ckpt" / "model.bin").write_text("w"), "model.bin"),
    "tree": ("tree", lambda f: (f / "trees/sub/b.yaml").write_text("w"), "sub/b.yaml"),
}


@pytest.mark.parametrize(("read", "change", "named"), CHANGES.values(), ids=CHANGES)
def test_what_is_read_counts_and_the_reason_names_it(
    here: Path, read: str, change: Callable[[Path], object], named: str
) -> None:
    before = run(here, READS[read])
    change(here)
    after = make(here, READS[read])
    assert after.digest != before.digest
    assert (after.status, after.reason) == ("run", f"changed on disk: {named.format(here=here)}")


@pytest.mark.parametrize("content", ["", "[]", '{"s": 3}', '{"s": {"lists": {}}}'])
def test_a_record_that_is_damaged_is_named_and_costs_only_the_names(
    here: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    read, change, _ = CHANGES["weights"]
    run(here, READS[read])
    (record,) = here.glob("runs/stages/*/reads.json")
    record.write_text(content)
    change(here)
    assert make(here, READS[read]).reason.startswith("changed on disk: what ")
    assert f"{record} is " in capsys.readouterr().err


@pytest.mark.parametrize("remembered", [True, False])
@pytest.mark.parametrize("stage", READS.values(), ids=READS)
def test_touched_but_equal_is_the_same(here: Path, stage: dict[str, Any], remembered: bool) -> None:
    (here / "runs").mkdir()
    before = make(here, stage)
    if not remembered:
        for file in (here / "runs" / plan.MEMORY).iterdir():
            file.unlink()
    for path in here.rglob("*"):
        os.utime(path, (5, 5))
    assert make(here, stage).digest == before.digest


def test_a_videos_frames_and_sounds_count(here: Path) -> None:
    rows = json.loads((here / "general.json").read_text())
    rows[0]["videos"] = ["clip.mp4", [NAMES[1], "frame.png"]]
    (here / "general.json").write_text(json.dumps(rows))
    (here / "clip.mp4").write_text("a")
    (stamp,) = make(here, READS["set"]).stamps.values()
    assert stamp.media.keys() == {*NAMES, "clip.mp4", "frame.png"}
    assert stamp.media["frame.png"] == "missing"


@pytest.mark.parametrize("read", ["set", "verl", "rows", "manifest"])
def test_the_folder_of_a_set_or_a_manifest_is_not_walked(
    here: Path, read: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered: list[str] = []
    for name in ("scandir", "listdir"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda path=".", real=real: entered.append(str(path)) or real(path))
    assert make(here, READS[read]).stamps
    assert [path for path in entered if Path(path).is_relative_to(here)] == []


def test_a_set_that_is_not_there_is_told_and_nothing_is_walked(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "walk", lambda *given, **more: pytest.fail(f"walks {given}"))
    for reader in ("llamafactory", "verl", "rows"):
        (stamp,) = make(here, {"data": "//nothing", "reader": reader}).stamps.values()
        assert not stamp.lists and not stamp.media


def test_a_set_that_cannot_be_read_is_planned_and_told_by_its_inspection(here: Path) -> None:
    (here / "general.json").write_text('[{"messages": ')
    planned = make(here, READS["set"])
    assert planned.stamps["./general (llamafactory)"].lists.keys() == {"general.json", "dataset_info.json (general)"}
    from mindgpt_plugins.pipeline.preflight import check_data

    assert "general.json is not valid JSON" in check_data(planned)[0]


def test_a_set_is_read_in_every_way_where_a_stage_does_not_say_who_reads_it(here: Path) -> None:
    stage = {"kind": "model", "tokenizer_from": ["./general"]}
    before = make(here, stage)
    assert before.stamps.keys() == {f"./general ({reader})" for reader in ("llamafactory", "verl", "rows")}
    (here / "general.jsonl").write_text((here / "general.jsonl").read_text() + "\n")
    assert make(here, stage).digest != before.digest


def test_every_part_has_its_reason(here: Path) -> None:
    run(here, READS["set"])
    assert make(here, READS["set"], "seed=3").reason == "seed changed: 0 → 3"
    assert make(here, READS["set"], "image.max_pixels=9999").reason == "image changed: max_pixels"
    assert make(here, READS["set"], "device=auto").reason == "device changed: cpu → auto"
    assert make(here, READS["set"], fresh=True).reason == "--fresh"
    (here / "look.py").write_text(PLUGIN + "# longer\n")
    sources.digest_source.cache_clear()
    paint(here / NAMES[0])
    both = make(here, READS["set"]).reason
    assert both == f"plugins changed: {here}/look.py; changed on disk: images/a.png"


def test_keys_that_say_how_it_runs_change_nothing(here: Path) -> None:
    done = run(here, READS["set"])
    assert make(here, {**READS["set"], "workers": 9, "python": "/usr/bin/python3"}).folder == done.folder


def test_a_plan_leaves_nothing_where_there_is_no_runs_folder(here: Path) -> None:
    make(here, READS["set"])
    assert not (here / "runs").exists()


def test_stage_folders_are_marked_and_what_a_stage_read_lies_in_them(here: Path) -> None:
    done = run(here, READS["set"])
    assert (done.folder.parent / MARK).is_file()
    record = json.loads((done.folder / "stage.json").read_text())
    assert record["reads"] == {"./general (llamafactory)": done.stamps["./general (llamafactory)"].digest}
    assert len(json.dumps(record["reads"])) < 100
