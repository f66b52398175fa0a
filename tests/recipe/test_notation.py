"""A registered name with options is written one way everywhere; old spellings are refused with the new one."""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from mindgpt_data.schema.config import AllocatorChoice, DataSettings, EstimatorChoice, TeacherChoice
from pydantic import BaseModel, ValidationError

from mindgpt_plugins.advantage.config import AdvantageConfig
from mindgpt_plugins.core.choice import Choice, find_choices, format_flow_yaml
from mindgpt_plugins.curriculum.config import GroupedMixtureChoice, SamplerChoice
from mindgpt_plugins.llamafactory_ext.settings import Section
from mindgpt_plugins.losses.config import LossChoice
from mindgpt_plugins.recipe.loading import load_recipe, validate_recipe
from mindgpt_plugins.stages.rl.config import RLConfig
from mindgpt_plugins.verl_ext.settings import VerlSettings

ROOT = Path(__file__).parents[2]
CHOICES: dict[str, type[Choice]] = {
    one.key: one
    for one in (
        AdvantageConfig,
        AllocatorChoice,
        EstimatorChoice,
        GroupedMixtureChoice,
        LossChoice,
        SamplerChoice,
        TeacherChoice,
    )
}
RL = {"kind": "rl", "model": "m", "train": "d/x", "steps": 1}
DATA = {"images": {"path": "."}}


@pytest.mark.parametrize(
    ("schema", "base", "key"),
    [
        (Section, {}, "curriculum"),
        (Section, {}, "mixture"),
        (Section, {}, "loss"),
        (RLConfig, RL, "curriculum"),
        (RLConfig, RL, "mixture"),
        (RLConfig, RL, "advantage"),
        (VerlSettings, {"curriculum": "shuffled"}, "mixture"),
        (DataSettings, DATA, "density.estimator"),
        (DataSettings, DATA, "budget.allocator"),
        (DataSettings, DATA, "generate.teacher"),
    ],
)
def test_a_bare_name_and_a_mapping_mean_the_same_in_every_place(schema: type[BaseModel], base: dict, key: str):
    def read(value: Any) -> BaseModel:
        *outer, last = key.split(".")
        return schema.model_validate({**base, **({outer[0]: {last: value}} if outer else {last: value})})

    bare, mapped = read("one"), read({"name": "one", "options": {}})
    assert bare == mapped
    place, choice = next((p, c) for p, c in find_choices(read({"name": "one", "options": {"x": 2}})) if p == key)
    assert (place, choice.name, choice.options) == (key, "one", {"x": 2})
    assert choice.written() == {"name": "one", "options": {"x": 2}}


@pytest.mark.parametrize(
    ("schema", "value", "shown"),
    [
        (
            Section,
            {"curriculum": {"name": "easy_to_hard", "pacing": "root"}},
            "write curriculum: {name: easy_to_hard, options: {pacing: root}}",
        ),
        (
            Section,
            {"loss": {"name": "weighted_ce", "weights": {"domain": 2.0}, "length_weighting": "sqrt"}},
            "write loss: {name: weighted_ce, options: {weights: {domain: 2.0}, length_weighting: sqrt}}",
        ),
        (
            Section,
            {"mixture": {"name": "fixed", "by": "dataset", "weights": {"a/b": 1}}},
            "write mixture: {name: fixed, by: dataset, options: {weights: {a/b: 1}}}",
        ),
        (
            Section,
            {"curriculum": {"pacing": "root"}},
            "which sampler? Write curriculum: {name: <name>, options: {pacing: root}}",
        ),
        (
            RLConfig,
            RL | {"curriculum": {"name": "shuffled", "mixture": {"name": "fixed", "weights": {"a": 1}}}},
            "write curriculum: {name: shuffled} and mixture: {name: fixed, options: {weights: {a: 1}}}",
        ),
        (
            RLConfig,
            RL | {"advantage": {"name": "modulated", "k": 2, "normalise": "group_std"}},
            "write advantage: {name: modulated, k: 2, options: {normalise: group_std}}",
        ),
        (
            RLConfig,
            RL | {"advantage": {"lam": 0.5, "options": {"k": 2, "normalise": "none"}}},
            "write advantage: {k: 2, lambda: 0.5, options: {normalise: none}}",
        ),
        (
            DataSettings,
            DATA | {"density": {"estimator": "judge", "options": {"samples": 2}}},
            "write estimator: {name: judge, options: {samples: 2}}",
        ),
        (
            DataSettings,
            DATA | {"generate": {"options": {"capabilities": {"count": "x.y"}}}},
            "write teacher: {name: annotations, options: {capabilities: {count: x.y}}}",
        ),
        (
            DataSettings,
            DATA | {"filter": {"gates": ["rules", "judge"], "options": {"judge": {"least": 2}}}},
            "write gates: [rules, {name: judge, options: {least: 2}}]",
        ),
        (
            DataSettings,
            DATA | {"filter": {"gates": [{"name": "judge", "least": 2}]}},
            "write {name: judge, options: {least: 2}}",
        ),
        (
            DataSettings,
            DATA | {"budget": {"allocator": {"name": "density", "options": {"n_max": 3}}}},
            "n_max is a key of `budget`",
        ),
    ],
)
def test_an_old_spelling_is_refused_with_the_new_one_for_what_was_written(schema, value: dict, shown: str):
    with pytest.raises(ValidationError) as error:
        schema.model_validate(value)
    assert shown in str(error.value)


def test_lambda_is_written_back_as_it_is_read():
    config = AdvantageConfig.model_validate({"lambda": 0.25})
    assert config.model_dump(mode="json")["lambda"] == 0.25
    assert AdvantageConfig.model_validate(config.model_dump(mode="json")) == config
    assert config.written() == {"name": "modulated", "lambda": 0.25}


def test_an_override_below_a_bare_name_keeps_the_name(tmp_path: Path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "name: r\nstages:\n  tune: {kind: dpo, model: a/b, data: [d/x], epochs: 1, curriculum: easy_to_hard}\n"
    )
    (tmp_path / "d").mkdir()
    for key, wanted in (
        ("options.pacing=linear", ("easy_to_hard", {"pacing": "linear"})),
        ("name=shuffled", ("shuffled", {})),
    ):
        curriculum = load_recipe(str(recipe), [f"stages.tune.curriculum.{key}"]).stages["tune"].curriculum  # type: ignore[attr-defined]
        assert (curriculum.name, curriculum.options) == wanted


def test_a_resolved_recipe_is_a_recipe(tmp_path: Path):
    recipe = load_recipe("quickstart")
    plain = {name: config.model_dump(mode="json") for name, config in recipe.stages.items()}
    assert validate_recipe({"name": "again", "stages": plain}, recipe.path).stages == recipe.stages


def test_values_are_shown_as_yaml_in_one_line():
    value = {"name": "x", "options": {"a": ["b", 1.5, None, True], "long": "word " * 60}}
    assert format_flow_yaml(value).count("\n") == 0 and format_flow_yaml(value).startswith(
        "{name: x, options: {a: [b, 1.5, null, true], long: "
    )


def snippets() -> list[tuple[str, str, object]]:
    """Page, key and value of every choice in the YAML of the pages."""
    found = []
    for page in sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]):
        text = page.read_text(encoding="utf-8")
        fenced = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
        indented = re.findall(r"(?:^    [^\n]*\n)+", text, re.MULTILINE)
        for block in [*fenced, *map(textwrap.dedent, indented)]:
            try:
                data = yaml.safe_load(block)
            except yaml.YAMLError:
                continue  # a table or a command
            found += [(page.name, key, value) for key, value in chosen(data)]
    return found


def chosen(data: object) -> Iterator[tuple[str, object]]:
    if isinstance(data, dict):
        for key, value in data.items():
            if key in CHOICES:
                yield key, value
            yield from chosen(value)
    elif isinstance(data, list):
        for one in data:
            yield from chosen(one)


def test_the_pages_write_it_so():
    found = snippets()
    assert {"curriculum", "mixture", "loss", "advantage"} <= {key for _, key, _ in found}
    for page, key, value in found:
        if key != "teacher" or isinstance(value, str):  # `endpoints.teacher` is a list of servers
            try:
                CHOICES[key].model_validate(value)
            except ValidationError as error:
                pytest.fail(f"{page}: {key}: {error.errors()[0]['msg']}")
