"""``mindgpt evaluate`` up to the plan: what the options mean, and what is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from mindgpt_data.schema.rows import Row
from typer.testing import CliRunner, Result

from mindgpt_plugins.cli import build_cli_app
from mindgpt_plugins.core.artefacts import record_artefacts
from mindgpt_plugins.recipe.loading import load_recipe
from mindgpt_plugins.recipe.schema import Recipe


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model, a set, a benchmark's data and an interpreter that is not this one."""
    monkeypatch.chdir(tmp_path)
    for name in ("model", "data", "star"):
        (tmp_path / name).mkdir()
    (tmp_path / "model/config.json").write_text("{}")
    (tmp_path / "data/dataset_info.json").write_text("{}")
    row = Row("u", [], "What?", "red", "", "text", "s", "c").to_json()
    (tmp_path / "data/dev.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "python").symlink_to(sys.executable)
    monkeypatch.setenv("MINDGPT_BENCHMARK_PYTHON", "./python")
    return tmp_path


def evaluate(*arguments: str) -> Result:
    return CliRunner().invoke(build_cli_app(), ["evaluate", *arguments, "--dry-run"], env={"COLUMNS": "200"})


def planned(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Recipe:
    """The recipe that a command line stands for."""
    from mindgpt_plugins.pipeline import plan

    seen: list[Any] = []
    make = plan.make_run_plan
    monkeypatch.setattr(
        plan, "make_run_plan", lambda recipe, *more, **keys: seen.append(recipe) or make(recipe, *more, **keys)
    )
    done = evaluate(*arguments)
    assert done.exit_code == 0, done.output + repr(done.exception)
    recipe: Recipe = seen[0]
    return recipe


def test_sets_and_benchmarks_become_two_ordinary_stages(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("--sets", "./data/dev", "--benchmarks", "mmstar,pope", "--data", "mmstar=./star", "--limit", "5")
    recipe = planned(monkeypatch, "model", *options, "--no-blank", "stages.benchmarks.batch_size=3")
    assert recipe.name == "evaluate-model" and [*recipe.stages] == ["sets", "benchmarks"]
    own, public = (recipe.stages[name].model_dump() for name in recipe.stages)
    assert own["model"] == public["model"] == str(place / "model")
    assert own["sets"] == ["./data/dev"] and own["rows"] == 5 and own["blank"] is False
    assert public["benchmarks"] == ["mmstar", "pope"] and public["data"] == {"mmstar": "./star"}
    assert public["limit"] == 5 and public["blank"] is False and public["batch_size"] == 3
    assert recipe.launch["benchmark"].python == "./python"
    assert not (place / "runs").exists()


def test_a_running_server_can_be_evaluated_alone(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = planned(monkeypatch, "http://host:8000/v1", "--benchmarks", "all")
    (stage,) = recipe.stages.values()
    public = stage.model_dump()
    assert public["server"] == "http://host:8000/v1" and public["model"] is None and len(public["benchmarks"]) == 8


def test_the_model_and_the_image_size_of_a_run_are_found(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = place / "runs/stages/tune-1"
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "config.json").write_text("{}")
    record_artefacts(folder, {"model": str(folder / "model")})
    (folder / "stage.json").write_text(json.dumps({"settings": {}, "image": {"min_pixels": 1024, "max_pixels": 9216}}))
    (place / "runs/mine").mkdir()
    stage = {"name": "tune", "kind": "sft", "folder": str(folder), "status": "done"}
    manifest = {"recipe": "mine", "stages": [stage]}
    (place / "runs/mine/manifest.json").write_text(json.dumps(manifest))
    recipe = planned(monkeypatch, "mine", "--benchmarks", "pope")
    assert recipe.image.max_pixels == 9216
    assert recipe.stages["benchmarks"].model_dump()["model"] == str(folder / "model")
    failed = evaluate("mine", "--stage", "gone", "--benchmarks", "pope")
    assert "no finished stage gone; it has: tune" in str(failed.exception)


@pytest.mark.parametrize(
    "arguments, cause",
    [
        (("model",), "nothing to evaluate on"),
        (("model", "--benchmarks", "mmstra"), "did you mean 'mmstar'? choose from mmbench, mmstar, mathvista"),
        (("model", "--benchmarks", "pope", "--data", "pope"), "write it as NAME=FOLDER"),
        (("model", "--benchmarks", "pope", "--data", "pope=./gone"), "'./gone' does not exist"),
        (("http://a:1", "--sets", "./data/dev"), "own --sets need the model itself"),
        (("nowhere", "--benchmarks", "pope"), "no run 'nowhere'"),
        (("model", "--benchmarks", "pope", "--engine", "vlm"), "stages.benchmarks.engine"),
    ],
)
def test_what_cannot_work_is_refused(place: Path, arguments: tuple[str, ...], cause: str) -> None:
    done = evaluate(*arguments)
    assert done.exit_code != 0 and cause in str(done.exception), done.output + repr(done.exception)


def test_without_the_harness_it_says_what_to_install(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mindgpt_plugins.core import compat

    monkeypatch.delenv("MINDGPT_BENCHMARK_PYTHON")
    monkeypatch.setattr(compat, "find_installed_version", lambda name: None if name == "evalscope" else "9")
    done = evaluate("model", "--benchmarks", "pope")
    assert "evalscope is not installed" in str(done.exception) and "constraints/evalscope.txt" in str(done.exception)


def test_the_shipped_recipe_compares_before_and_after() -> None:
    recipe = load_recipe("evaluate/benchmarks", ["stages.after.model=org/other"])
    assert recipe.inputs("after") == ["before"] and len(recipe.stages["after"].model_dump()["benchmarks"]) == 8
