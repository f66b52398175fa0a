"""Nonsense that a recipe may hold: each kind is refused when it is loaded, with its place and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mindgpt_plugins.recipe.loading import RecipeError, load_recipe

Write = Callable[..., Path]
TWO = "a: {kind: toy}\nb: {kind: toy, model: a}\n"
LONG = "x" * 300


def problem(path: Path, *overrides: str) -> str:
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(path), overrides)
    return str(caught.value)


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ("a: {kind: toy, sleep: .inf}", "stages.a.sleep: must be a finite number, got inf"),
        ("a: {kind: toy, sleep: .nan}", "stages.a.sleep: must be a finite number, got nan"),
        ("a: {kind: rl, parallel: {size: .nan}}", "stages.a.parallel.size: must be a finite number"),
        (f"a: {{kind: toy, steps: {10**30}}}", "stages.a.steps: a whole number has 64 bits at most"),
        ("a: {kind: toy, steps: yes}", "stages.a.steps: must be a number, not true or false"),
        ("a: {kind: toy, seed: -1}", "stages.a.seed: Input should be greater than or equal to 0"),
        ('a: {kind: toy, model: "a\\0b"}', "stages.a.model: contains a NUL character"),
        ('a: {kind: toy, model: "\\ud800"}', "invalid Unicode character"),
        ('"a\\0b": {kind: toy}', "contains a NUL character"),
        ('"a\\eb": {kind: toy}', "this one contains a control character"),
        ('"a ": {kind: toy}', "this one begins or ends with a space"),
        ('"..": {kind: toy}', "this one cannot be a folder's name"),
        ('"a/b": {kind: toy}', "this one contains '/'"),
        (f"{LONG}: {{kind: toy}}", "this one has 300 bytes as UTF-8, and 200 are the most"),
        ('1: {kind: toy}\n"1": {kind: toy, seed: 3}', "stages.1: stands there twice, as a number and as text"),
        ("a: null\nb: null", "every stage is null, so nothing is left of the recipe"),
        (
            "a: {kind: toy, model: https://x/y}",
            "stages.a.model: model 'https://x/y' is no earlier stage, no folder and",
        ),
        ("a: {kind: toy, model: a/b/c}", "is no earlier stage, no folder and no hub id (owner/name)"),
        ("a: {kind: toy, model: here}", "for the folder beside the recipe write './here'"),
        ("a: {kind: toy, model: ''}", "stages.a.model: '' is empty"),
        (f"a: {{kind: toy, model: ./{LONG}}}", "has a name of 300 bytes in it"),
        (f"a: {{kind: evaluate, model: o/m, sets: [{LONG}/x]}}", "stages.a.sets.0: "),
        ("a: {kind: data, images: {path: ''}}", "stages.a.images.path: '' is empty; write . for the folder"),
        (f"a: {{kind: data, images: {{path: {LONG}}}}}", "has a name of 300 bytes in it"),
        (
            "a: {kind: toy}\nb: {kind: evaluate, model: a, sets: [a]}",
            "stages.b.sets.0: 'a' names no set; write a/<set>",
        ),
        ("a: {kind: data, images: {path: .}, budget: {n_min: 9, n_max: 2}}", "n_min 9 is above n_max 2"),
        (
            "a: {kind: sft, model: o/m, data: [./x], lr: 1.0e+30}",
            "stages.a.lr: Input should be less than or",
        ),
        ("a: {kind: dpo, model: o/m, data: [./x], epochs: 1.0e+308}", "stages.a.epochs: Input should be less than"),
        ("a: {kind: data, images: {path: .}, filter: {gates: [rules, rules]}}", "rules is named twice"),
    ],
)
def test_what_nobody_means_in_a_stage(write_recipe: Write, tmp_path: Path, stages: str, said: str) -> None:
    (tmp_path / "here").mkdir()
    assert said in problem(write_recipe(stages))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("name=stages", "a recipe cannot be called 'stages'"),
        (f"name={LONG}", "name: String should have at most 200 characters"),
        ("seed=true", "seed: must be a number, not true or false"),
        ("seed=-1", "seed: Input should be greater than or equal to 0"),
        ("launch.data.env={'A=B': c}", "'A=B' cannot be the name of an environment variable"),
        ("launch.data.env={'.': c}", "'.' cannot be the name of an environment variable"),
        ("launch.data.env={'': c}", "'' cannot be the name of an environment variable"),
        ('launch.data.env={A: "a\\0b"}', "launch.data.env.A: contains a NUL character"),
    ],
)
def test_what_nobody_means_in_the_head(write_recipe: Write, override: str, said: str) -> None:
    assert said in problem(write_recipe(TWO), override)


def test_a_message_never_holds_the_whole_of_a_long_value(write_recipe: Write) -> None:
    assert len(problem(write_recipe(f"a: {{kind: toy, steps: {'y' * 9000}}}"))) < 600


def test_what_is_extended_is_not_printed(tmp_path: Path) -> None:
    child = tmp_path / "child.yaml"
    for secret in ("root:x:0:0\ndaemon:x:1:1\n", "token: s3cret\n", "- s3cret\n", "{s3cret: [", "s3cret: 1\nname: x\n"):
        (tmp_path / "parent").write_text(secret)
        child.write_text("extends: parent\nname: child\n")
        said = problem(child)
        assert "parent is no recipe, or not YAML within its limits" in said
        assert "s3cret" not in said and "daemon" not in said
    (tmp_path / "parent").write_text("sede: 3\nstages: {}\n")
    assert "(key 'sede'; did you mean 'seed'?)" in problem(child)


def test_what_does_not_fit_what_it_extends(write_recipe: Write, tmp_path: Path) -> None:
    write_recipe(TWO, name="parent")
    child = tmp_path / "child.yaml"
    child.write_text("extends: parent.yaml\nname: child\nstages: {a: [1, 2]}\n")
    assert "does not fit parent.yaml, which it extends: Cannot merge" in problem(child)


def test_recipes_one_behind_the_other(tmp_path: Path) -> None:
    for number in range(18):
        (tmp_path / f"r{number}.yaml").write_text(f"extends: r{number + 1}.yaml\nname: r\n")
    (tmp_path / "r18.yaml").write_text("name: r\n")
    assert "more than 16 recipes one behind the other" in problem(tmp_path / "r0.yaml")


def test_a_recipe_over_the_limits_is_named(write_recipe: Write, tmp_path: Path) -> None:
    path = tmp_path / "deep.yaml"
    path.write_text("name: x\nstages: " + "[" * 41 + "]" * 41)
    assert "deep.yaml: cannot be read as YAML: line 2: more than 40 mappings and lists" in problem(path)
    path.write_text("name: x\nseed: " + "1" * 65)
    assert "line 2: a number of more than 64 characters" in problem(path)
    path.write_text("name: ${description}\ndescription: ${name}\n")
    assert "in a circle" in problem(path)
    assert "no such recipe file" in problem(tmp_path / LONG)
