"""What is known before anything runs: references to the wrong thing, places that are taken, commands that fail."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mindgpt_plugins.pipeline import plan, preflight_all
from mindgpt_plugins.pipeline.plan import Plan
from mindgpt_plugins.recipe.loading import RecipeError, load_recipe

Write = Callable[..., Path]
DATA = "data: {kind: data, images: {path: .}, density: {estimator: pixels}, export: {dev: 0.1}}\n"


def planned(path: Path, *overrides: str) -> Plan:
    return plan.make_run_plan(load_recipe(str(path), overrides), path.parent / "runs")


def problems(path: Path, *overrides: str) -> list[str]:
    return preflight_all.find_plan_problems(planned(path, *overrides))


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        (
            "b: {kind: evaluate, model: data, sets: [data/data_dev]}",
            "stages.b: model: 'data' is a data stage, which makes no model but datasets",
        ),
        (
            "b: {kind: preference_pairs, model: data, prompts: [data/data_dev]}",
            "stages.b: model: 'data' is a data stage, which makes no model",
        ),
        ("b: {kind: toy}\nc: {kind: toy, model: data}", "stages.c: model: 'data' is a data stage"),
        (
            "b: {kind: toy}\nc: {kind: evaluate, model: b, sets: [b/dev]}",
            "stages.c: sets.0: 'b' is a toy stage, which makes no data set but model",
        ),
        (
            "b: {kind: evaluate, model: o/m, sets: [data/data_dev], compare: data}",
            "stages.b: compare: 'data' is a data stage, which makes no evaluation",
        ),
        (
            "b: {kind: evaluate, model: o/m, sets: [data/data_dve]}",
            "stages.b: sets.0: stage 'data' will make no set 'data_dve'; did you mean 'data_dev'? "
            "It makes: data_train, data_dev, data_pairs.",
        ),
        (
            "b: {kind: rl, model: o/m, steps: 1, train: data/data_pairs}",
            "'data/data_pairs' is read as verl (parquet), but stage 'data' writes it for LLaMA-Factory (sharegpt) only",
        ),
        (
            "b: {kind: evaluate, model: ./empty, sets: [data/data_dev]}",
            "model: './empty' holds no config.json",
        ),
    ],
)
def test_references_are_of_their_kind(write_recipe: Write, tmp_path: Path, stage: str, said: str) -> None:
    (tmp_path / "empty").mkdir()
    assert any(line.startswith(said) or said in line for line in problems(write_recipe(DATA + stage)))


def test_sets_that_a_stage_will_make(write_recipe: Write, tmp_path: Path) -> None:
    evaluate = "b: {kind: evaluate, model: o/m, sets: [SET], blank: false, samples: null}\n"

    def refused(name: str, *overrides: str) -> list[str]:
        path = write_recipe(DATA + evaluate.replace("SET", f"data/{name}"))
        return [line for line in problems(path, *overrides) if "will make no set" in line]

    assert refused("data_test") and not refused("data_test", "stages.data.export.test=0.1")
    whole = ("stages.data.export.dev=0", "stages.data.export.split=dev")
    assert refused("data_dev", *whole) and not refused("data", *whole)
    (tmp_path / "m.jsonl").write_text("{}\n")  # its lines may say of what split they are
    assert not refused("data_test", "stages.data.images.path=m.jsonl")


@pytest.mark.parametrize("named", ["gone.json", "/etc/passwd", "/dev/null"])
def test_a_file_of_a_hosts_settings_is_one(write_recipe: Write, named: str) -> None:
    sft = "b: {kind: sft, model: o/m, data: [data/data_train], max_steps: 1, batch_size: 1}\n"
    path = write_recipe(DATA + sft)
    said = f"stages.b: llamafactory.deepspeed: '{named}' is no JSON file of settings by its absolute path"
    assert any(line.startswith(said) for line in problems(path, f"stages.b.llamafactory.deepspeed={named}"))
    own = path.parent / "zero.json"
    own.write_text('{"zero_optimization": {"stage": 3}}')
    assert not any("no JSON file" in line for line in problems(path, f"stages.b.llamafactory.deepspeed={own}"))


def test_a_command_that_cannot_be_rendered_is_a_problem_of_validate(write_recipe: Write) -> None:
    path = write_recipe("a: {kind: toy}\n")
    toy = path.parent / "toy_plugin.py"
    toy.write_text(toy.read_text().replace("def render(self, config, context):", "def render(self, config, context):\n"
                                           "        raise ValueError('no such seam')"))  # fmt: skip
    assert problems(path) == ["stages.a: no such seam"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda at: at.write_text(""), "the runs folder {at} cannot be made: {at} is no folder; choose another"),
        (lambda at: (at / "toy").mkdir(parents=True), "{at}/toy stands where the link to the latest run of 'toy' is"),
        (lambda at: (at.mkdir(), (at / "toy").touch()), "{at}/toy stands where the link to the latest run of 'toy' is"),
        (lambda at: (at.mkdir(), (at / "stages").touch()), "{at}/stages is no folder, but the run needs one there"),
    ],
)
def test_a_place_that_is_taken(write_recipe: Write, make: Callable[[Path], object], said: str) -> None:
    path = write_recipe("a: {kind: toy}\n")
    runs = path.parent / "runs"
    make(runs)
    assert any(line.startswith(said.format(at=runs)) for line in problems(path))


def test_a_link_to_an_earlier_run_is_no_obstacle(write_recipe: Write) -> None:
    path = write_recipe("a: {kind: toy}\n")
    (path.parent / "runs").mkdir()
    os.symlink("toy-0", path.parent / "runs" / "toy")
    assert problems(path) == []


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("density.weights={zzz: 1}", "density.weights: density weights need subjects, spatial, text, knowledge"),
        ("generate.capabilities=[zzz]", "generate.capabilities: there is no capability 'zzz'"),
        ("images.path=toy.yaml", "toy.yaml is no corpus: give a folder of pictures, a manifest (.jsonl) or COCO"),
        ("tree.knowledge=toy.yaml", "label tree"),
    ],
)
def test_nonsense_in_a_data_stage(write_recipe: Write, override: str, said: str) -> None:
    assert any(said in line for line in problems(write_recipe(DATA), f"stages.data.{override}"))


def test_a_label_tree_that_is_not_there(write_recipe: Write) -> None:
    with pytest.raises(RecipeError, match=r"stages\.data\.tree\.capability: 'gone\.yaml' does not exist"):
        planned(write_recipe(DATA), "stages.data.tree.capability=gone.yaml")


def test_a_label_tree_is_looked_for_beside_the_recipe(write_recipe: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_recipe(DATA)
    (path.parent / "own.yaml").write_text("Cars: {children: {Trucks: {children: {Vans: white ones}}}}\n")
    monkeypatch.chdir("/")
    assert problems(path, "stages.data.tree.knowledge=own.yaml") == []


def test_an_interpreter_is_a_program(write_recipe: Write) -> None:
    path = write_recipe("a: {kind: toy}\n")
    with pytest.raises(RuntimeError, match=r"interpreter '\./toy\.yaml' is no program"):
        planned(path, "launch.data.python=./toy.yaml")
