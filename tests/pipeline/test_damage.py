"""Runs whose files are damaged, whose disk is full, or that a kill left half done: named, redone or gone on with."""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from mindgpt_plugins.core import files, folders
from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.pipeline import display, plan, runner
from mindgpt_plugins.recipe.loading import load_recipe

Write = Callable[..., Path]
CHAIN = "a: {kind: toy}\nb: {kind: toy, model: a}\n"


@pytest.fixture
def recipe(write_recipe: Write) -> Path:
    """Two toys in a row, whose models have weights."""
    path = write_recipe(CHAIN)
    plugin = path.parent / "toy_plugin.py"
    made = 'pathlib.Path("model").mkdir(exist_ok=True)\n'
    assert made in plugin.read_text()
    plugin.write_text(plugin.read_text().replace(made, f'{made}pathlib.Path("model/weights").write_text("1" * 40)\n'))
    return path


def make(path: Path, **options: object) -> plan.Plan:
    return plan.make_run_plan(load_recipe(str(path)), path.parent / "runs", **options)  # type: ignore[arg-type]


def run(path: Path, **options: object) -> Path:
    return runner.run_plan(make(path, **options), Console(quiet=True))


def statuses(planned: plan.Plan) -> dict[str, str]:
    return {stage.name: stage.status for stage in planned.stages}


def test_a_damaged_stage_runs_again_in_a_new_folder_and_so_does_what_reads_it(recipe: Path) -> None:
    run(recipe)
    first = make(recipe).stages[0].folder
    os.truncate(first / "model/weights", 12)
    planned = make(recipe)
    assert statuses(planned) == {"a": "run", "b": "run"}
    assert planned.stages[0].reason == "its artefact 'model' is damaged"
    assert planned.stages[1].reason == "input changed: a"
    console = Console(record=True, width=70, file=open(os.devnull, "w"))  # noqa: SIM115
    display.show_plan(console, planned)
    assert f"{first}/model/weights has 12 bytes instead of 40" in console.export_text()
    run(recipe)
    assert (first / "model/weights").stat().st_size == 12  # a finished folder is never written again
    assert statuses(make(recipe)) == {"a": "reuse", "b": "reuse"}
    assert make(recipe).stages[0].folder.name == f"{first.name}.2"


def test_a_new_attempt_begins_with_the_answers_that_were_paid_for(recipe: Path) -> None:
    plugin = recipe.parent / "toy_plugin.py"
    plugin.write_text(plugin.read_text().replace('side = "data"', 'side = "data"\n    paid = ("work/store*",)'))
    run(recipe, until="a")
    first = make(recipe).stages[0].folder
    (first / "work").mkdir()
    (first / "work/store.sqlite").write_text("answers")
    (first / "model/weights").unlink()
    run(recipe, until="a")
    again = make(recipe).stages[0].folder
    assert again != first and (again / "work/store.sqlite").read_text() == "answers"
    assert (again / "model/weights").is_file()


def test_an_attempt_after_damage_is_gone_on_with(recipe: Path) -> None:
    run(recipe, until="a")
    (make(recipe).stages[0].folder / "model/weights").unlink()
    again = make(recipe).stages[0].folder
    again.mkdir()
    (again / "stage.json").write_text("")
    assert make(recipe).stages[0].status == "resume" and make(recipe).stages[0].folder == again


def test_verify_finds_what_size_and_time_do_not_show(recipe: Path) -> None:
    run(recipe)
    path = make(recipe).stages[0].folder / "model/weights"
    stat = path.stat()
    path.write_text("2" * 40)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert statuses(make(recipe)) == {"a": "reuse", "b": "reuse"}
    assert statuses(make(recipe, verify=True)) == {"a": "run", "b": "run"}


def test_what_comes_before_from_must_be_whole(recipe: Path) -> None:
    run(recipe)
    folder = make(recipe).stages[0].folder
    shutil.rmtree(folder / "model")
    with pytest.raises(StageError, match=r"needs 'a' to be done, but its artefact 'model' is damaged: .*is missing"):
        make(recipe, start="b")
    assert statuses(make(recipe, until="a")) == {"a": "run", "b": "not selected"}


def test_a_stage_does_not_start_on_what_was_damaged_meanwhile(recipe: Path) -> None:
    run(recipe, until="a")
    planned = make(recipe)
    os.truncate(planned.stages[0].folder / "model/weights", 0)
    with pytest.raises(StageError, match=r"'b' cannot run: stage 'a', which it reads, is damaged: .*has 0 bytes"):
        runner.run_plan(planned, Console(quiet=True))
    assert not (planned.stages[1].folder / "work.txt").exists()


def test_a_failure_names_the_damaged_stage_before_it(recipe: Path) -> None:
    run(recipe, until="a")
    planned = make(recipe)
    weights = planned.stages[0].folder / "model/weights"
    spoil = f"import pathlib, sys; pathlib.Path({str(weights)!r}).write_text(''); sys.exit('the host cannot read it')"
    command = runner.Command(("-c", spoil))
    planned.stages[1].stage.render = lambda config, context: [command]  # type: ignore[method-assign]
    with pytest.raises(StageError) as failed:
        runner.run_plan(planned, Console(quiet=True))
    told = str(failed.value)
    assert "the host cannot read it" in told and f"{weights} has 0 bytes instead of 40" in told
    assert "Run the same" not in told


@pytest.mark.parametrize("content", ["", "{}"])
@pytest.mark.parametrize("name", ["stage.json", "manifest.json", "artefacts.json"])
def test_records_that_cannot_be_read_stop_nothing(
    recipe: Path, name: str, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run(recipe)
    stage = make(recipe).stages[1].folder
    path = folder / name if name == "manifest.json" else stage / name
    path.write_text(content)
    before = statuses(make(recipe))
    if name == "artefacts.json":
        assert before == {"a": "reuse", "b": "resume"}
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and f"warning: {path} is " in told
    assert run(recipe) == folder
    assert statuses(make(recipe)) == {"a": "reuse", "b": "reuse"}
    assert [one["status"] for one in json.loads((folder / "manifest.json").read_text())["stages"]][0] == "reused"
    assert (stage / "work.txt").read_text().split() == ["1", "2", "3"]  # from its checkpoints


def fill(monkeypatch: pytest.MonkeyPatch, fails: Callable[[], bool]) -> None:
    """A disk that is full whenever ``fails`` says so: every flush of a file that we write raises."""
    whole = os.fsync

    def fsync(descriptor: int) -> None:
        if fails():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        whole(descriptor)

    monkeypatch.setattr(files.os, "fsync", fsync)


def test_a_full_disk_is_one_line_with_the_path_and_the_run_goes_on_with_space(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room in range(1, 9):  # files that the disk still takes
        written = itertools.count()
        with monkeypatch.context() as patched:
            fill(patched, lambda written=written, room=room: next(written) >= room)
            try:
                run(recipe)
            except (StageError, OSError) as error:
                text = str(error)
                assert "No space left on device" in text and str(recipe.parent / "runs") in text and "\n" not in text
        for folder in (recipe.parent / "runs").rglob(".*.json.*"):
            raise AssertionError(f"{folder} was left")
    run(recipe)
    assert statuses(make(recipe)) == {"a": "reuse", "b": "reuse"}
    assert make(recipe).stages[0].folder.joinpath("work.txt").read_text().split() == ["1", "2", "3"]


def test_a_stage_whose_process_met_a_full_disk_says_so(write_recipe: Write) -> None:
    path = write_recipe("a: {kind: toy, fail: true}")
    plugin = path.parent / "toy_plugin.py"
    plugin.write_text(plugin.read_text().replace("the toy was told to fail", "[Errno 28] No space left on device"))
    with pytest.raises(StageError, match=r"'a' stopped: .*/a-\w+: No space left on device; free some space, then"):
        run(path)


def test_what_hides_the_cause_is_not_told(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(stage: object, *_: object) -> None:
        monkeypatch.setattr(runner, "write_manifest", unable)
        raise StageError("the cause")

    def unable(_: object) -> None:
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr(runner, "_run_stage", refuse)
    with pytest.raises(StageError, match="the cause"):
        run(recipe)


def test_leftovers_of_killed_attempts_go_at_the_next_start(recipe: Path) -> None:
    planned = make(recipe)
    folder = planned.stages[0].folder
    (folder / "datasets/.x.hf.999999").mkdir(parents=True)
    dead, living = folder / "datasets/.data_train.jsonl.999999", folder / f".scores.json.{os.getpid()}"
    ours = (dead, folder / ".model-00001.safetensors.part", folder / "datasets/.x.hf.999999")
    others = (living, folder / "notes.999999", folder / ".hidden", folder / "datasets/half.part")
    for path in (*ours[:2], *others):
        path.write_text("half")
    run(recipe)
    assert [path for path in ours if path.exists()] == []
    assert [path for path in others if not path.exists()] == []


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place]
    mounted = subprocess.run(command, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"cannot mount: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.slow
def test_every_way_to_fill_a_real_disk_is_named_and_resumable(recipe: Path, disk: Path) -> None:
    command = [sys.executable, "-m", "mindgpt_plugins.cli", "run", str(recipe), "--runs", str(disk)]
    page = 4096
    failed = 0
    for pages in range(3, 20, 2):
        for path in disk.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        (disk / "stages").mkdir()
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        with (disk / "fill").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, free - pages * page)
        full = subprocess.run(command, capture_output=True, text=True, check=False)
        if full.returncode:
            failed += 1
            assert "No space left on device" in full.stderr and str(disk) in full.stderr.replace("\n", ""), full.stderr
        (disk / "fill").unlink()
        again = subprocess.run(command, capture_output=True, text=True, check=False)
        assert again.returncode == 0, again.stderr
        assert folders.is_stage_done(next((disk / "stages").glob("a-*")))
    assert failed
