"""Recipes: YAML → overrides → validated data, and every fault named with its place and fix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mindgpt_plugins.recipe.loading import RecipeError, find_stage, list_shipped_recipes, load_recipe
from mindgpt_plugins.stages.rl.config import RLConfig

Write = Callable[..., Path]
TWO = "a: {kind: toy}\nb: {kind: toy, model: a}\n"


def problem(path: Path, *overrides: str) -> str:
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(path), overrides)
    return str(caught.value)


def test_overrides_reach_nested_keys(write_recipe: Write) -> None:
    recipe = load_recipe(str(write_recipe(TWO)), ["stages.a.inner.rate=0.5", "seed=7"])
    assert recipe.stages["a"].inner.rate == 0.5  # type: ignore[attr-defined]
    assert recipe.seed == 7
    assert recipe.inputs("b") == ["a"]


def test_a_side_may_be_any_that_a_stage_kind_runs_on(write_recipe: Write) -> None:
    path = write_recipe(TWO)
    recipe = load_recipe(str(path), ["launch.quantise.python=env/q/bin/python", "launch.data.env.A=b"])
    assert recipe.launch_of("quantise").python == "env/q/bin/python"
    assert recipe.launch_of("data").reveal_env() == {"A": "b"} and recipe.launch_of("rl").python is None
    said = problem(path, "launch.quantize.python=x")
    assert "launch.quantize: no stage kind runs on that side; did you mean 'quantise'?" in said
    assert "launch.data.pyton: unknown key 'pyton'; did you mean 'python'?" in problem(path, "launch.data.pyton=x")


def test_the_stage_that_a_command_is_about(write_recipe: Write) -> None:
    rl = "{{kind: rl, model: {model}, train: some/set, steps: {steps}}}\n"
    (write_recipe("").parent / "some").mkdir()
    one, two = (f"{name}: {rl.format(model='o/m', steps=steps)}" for name, steps in (("one", 3), ("two", 4)))
    recipe = load_recipe(str(write_recipe(TWO + one)))
    assert find_stage(recipe, RLConfig).steps == 3
    with pytest.raises(RecipeError, match="which rl stage. Give --stage, one of: one$"):
        find_stage(recipe, RLConfig, "a")
    both = load_recipe(str(write_recipe(TWO + one + two)))
    assert find_stage(both, RLConfig, "two").steps == 4
    with pytest.raises(RecipeError, match="one of: one, two$"):
        find_stage(both, RLConfig)
    with pytest.raises(RecipeError, match="none, it has no rl stage"):
        find_stage(load_recipe(str(write_recipe(TWO))), RLConfig)


def test_extends_merges_and_drops_stages(write_recipe: Write, tmp_path: Path) -> None:
    write_recipe(TWO + "c: {kind: toy, steps: 9}\n", name="parent")
    child = tmp_path / "child.yaml"
    child.write_text("extends: parent.yaml\nname: child\nstages: {a: {steps: 5}, c: null}\n")
    recipe = load_recipe(str(child))
    assert list(recipe.stages) == ["a", "b"]
    assert recipe.stages["a"].steps == 5  # type: ignore[attr-defined]


def test_extends_in_a_circle(write_recipe: Write, tmp_path: Path) -> None:
    path = tmp_path / "loop.yaml"
    path.write_text("extends: loop.yaml\nname: loop\n")
    assert "circle" in problem(path)


@pytest.mark.parametrize(
    "stages, expected",
    [
        ("a: {kind: toy, stpes: 4}", "stages.a.stpes: unknown key 'stpes'; did you mean 'steps'?"),
        ("a: {kind: toy, inner: {rat: 1}}", "stages.a.inner.rat: unknown key 'rat'; did you mean 'rate'?"),
        ("a: {kind: toy, steps: many}", "stages.a.steps: Input should be a valid integer"),
        ("a: {kind: toy, steps: 0}", "stages.a.steps: Input should be greater than 0"),
        ("a: {kind: tyo}", "did you mean 'toy'?"),
        ("a: {steps: 4}", "stages.a: needs a `kind`"),
        ("a: {kind: toy, model: b}\nb: {kind: toy}", "refers to 'b', which does not come before it"),
        (
            "a: {kind: toy}\nb: {kind: toy, model: aa}",
            "is no earlier stage, no folder and no hub id (owner/name); did you",
        ),
        ("a: {kind: toy, model: ./nowhere}", "model folder './nowhere' does not exist"),
    ],
)
def test_faults_in_stages(write_recipe: Write, stages: str, expected: str) -> None:
    assert expected in problem(write_recipe(stages))


def test_all_faults_are_listed_at_once(write_recipe: Write) -> None:
    text = problem(write_recipe("a: {kind: toy, stpes: 4}\nb: {kind: toy, steps: x}"), "sede=1")
    assert "did you mean 'steps'" in text and "stages.b.steps" in text and "did you mean 'seed'" in text


def test_override_typo_is_refused(write_recipe: Write) -> None:
    assert "unknown key 'stpes'" in problem(write_recipe(TWO), "stages.a.stpes=3")
    assert "not of the form key=value" in problem(write_recipe(TWO), "stages.a.steps")


def test_files_that_are_no_recipes(tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text("- a\n- b\n")
    assert "mapping of keys" in problem(tmp_path / "list.yaml")
    (tmp_path / "broken.yaml").write_text("a: [1, 2\n")
    assert "cannot be read as YAML" in problem(tmp_path / "broken.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00name")
    assert "cannot be read as YAML" in problem(tmp_path / "binary.yaml")
    assert "no such recipe file" in problem(tmp_path / "missing.yaml")


def test_plugin_that_raises_is_named(write_recipe: Write, tmp_path: Path) -> None:
    (tmp_path / "bad_plugin.py").write_text("raise OSError('no licence')")
    path = write_recipe(TWO, head="")
    path.write_text(path.read_text().replace("[./toy_plugin.py]", "[./toy_plugin.py, ./bad_plugin.py]"))
    assert "bad_plugin.py' raised on import: OSError: no licence" in problem(path)


@pytest.mark.parametrize("name", sorted(list_shipped_recipes()))
def test_every_shipped_recipe_loads(name: str) -> None:
    assert load_recipe(name).stages
