"""Every key is described, the reference page and the JSON schema are current, and shipped recipes fit the schema."""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from mindgpt_plugins.core import registry, signatures
from mindgpt_plugins.core.builtins import BUILTINS
from mindgpt_plugins.recipe.loading import list_shipped_recipes
from mindgpt_plugins.workbench.keys import editor_schema, markdown
from mindgpt_plugins.workbench.keys.collect import KeySection, collect_section, list_section_names

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "recipes").rglob("*.yaml"))
CHECK = jsonschema.Draft7Validator(json.loads((ROOT / "recipes" / "recipe.schema.json").read_text(encoding="utf-8")))
RL = {"kind": "rl", "model": "m", "train": "d/x", "steps": 1}
SFT = {"kind": "sft", "model": "a/b", "data": ["d/x"], "epochs": 1}


def mindgpt(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "mindgpt_plugins.cli", *arguments], capture_output=True, text=True)


def is_built_in(kind: str, name: str) -> bool:
    return registry.describe_origin(kind, name) == "built in"


def faults(**recipe: object) -> list[str]:
    return [jsonschema.exceptions.best_match([fault]).message for fault in CHECK.iter_errors({"name": "r", **recipe})]


@pytest.mark.parametrize("name", list_section_names())
def test_every_key_and_every_option_is_described(name: str):
    found: KeySection = collect_section(name)
    # What other tests have registered in this process is not ours to describe.
    ours = [key for key in found.keys if not key.of or name == "schedule" or is_built_in(*key.of.split())]
    assert found.about and found.keys
    assert [key.place for key in ours if not key.description.strip()] == []
    # Words alone explain nothing: a description is a sentence, or a clause with its unit.
    assert [key.place for key in ours if not key.of and len(key.description.split()) < 2] == []
    assert [key.place for key in ours if not key.type and not key.of] == []


def test_names_and_options_are_read_as_python_has_them():
    for kind, names in BUILTINS.items():
        for name in names if kind not in ("stage", "patch") else ():
            parameters = inspect.signature(registry.get_registered(kind, name)).parameters.values()
            real = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
            told = signatures.describe_registered_name(kind, name)
            assert told.summary, f"{kind} {name} has no docstring"
            assert [option.name for option in told.options] == [p.name for p in real], f"{kind} {name}"
            assert [option.default is None for option in told.options] == [p.default is p.empty for p in real]
            assert [o.name for o in told.options if not o.description] == [], f"Args: of {kind} {name}"


def test_a_plugins_name_is_described_too(tmp_path: Path):
    plugin = tmp_path / "described.py"
    plugin.write_text(
        "from mindgpt_plugins.core.registry import register\n\n\n"
        "@register('gate')\n"
        "def described_gate(item, *, word: str = 'x', most):\n"
        '    """Keeps what is short.\n\n'
        "    Args:\n"
        "        item: a row.\n"
        "        word: what\n"
        "            is counted.\n"
        '        most: how often.\n    """\n'
    )
    registry.load_plugins([str(plugin)])
    told = signatures.describe_registered_name("gate", "described_gate")
    assert told.summary == "Keeps what is short."
    assert [(o.name, o.default, o.description) for o in told.options] == [
        ("word", "'x'", "what is counted."),
        ("most", None, "how often."),
    ]
    assert any(key.of == "gate described_gate" for key in collect_section("data").keys)


def test_the_reference_page_is_current():
    page = (ROOT / "docs" / "recipe.md").read_text(encoding="utf-8")
    assert page == markdown.render_keys_page(), "run: mindgpt keys --markdown > docs/recipe.md"


def test_the_published_schema_is_current():
    published = (ROOT / "recipes" / "recipe.schema.json").read_text(encoding="utf-8")
    assert published == editor_schema.render_schema_text(), (
        "run: mindgpt keys --json-schema > recipes/recipe.schema.json"
    )
    jsonschema.Draft7Validator.check_schema(json.loads(published))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(ROOT / "recipes")))
def test_a_shipped_recipe_names_the_schema_and_fits_it(path: Path):
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert (
        first
        == f"# yaml-language-server: $schema={os.path.relpath(ROOT / 'recipes' / 'recipe.schema.json', path.parent)}"
    )
    assert [fault.message for fault in CHECK.iter_errors(yaml.safe_load(path.read_text(encoding="utf-8")))] == []
    assert str(path.relative_to(ROOT / "recipes").with_suffix("")) in list_shipped_recipes()


@pytest.mark.parametrize(
    "stage",
    [
        SFT | {"curriculum": "easy_to_hard", "data": [{"set": "d/x", "weight": 2}]},
        SFT | {"curriculum": {"name": "of_a_plugin", "options": {"anything": 1}}},
        SFT | {"lr": "${stages.a.lr}", "data": ["${set}"], "llamafactory": {"any_key": {"of": "the host"}}},
        SFT | {"patches": {"vision_dedup": True, "liger_qwen3_vl": "off"}},
        {"kind": "of_a_plugin", "whatever": 1},
        {
            "kind": "rl",
            "model": "m",
            "train": "d/x",
            "steps": 1,
            "advantage": {"lambda": {"kind": "linear", "start": 1, "end": 0}},
        },
    ],
)
def test_the_schema_takes_what_a_recipe_may_say(stage: dict):
    assert faults(stages={"one": stage}) == []


@pytest.mark.parametrize(
    ("stage", "fault"),
    [
        (SFT | {"epoch": 1}, "'epoch' was unexpected"),
        ({"kind": "sft", "model": "a/b", "epochs": 1}, "'data' is a required property"),
        (SFT | {"lr": 0}, "0"),
        (SFT | {"workers": "two"}, "'two'"),
        (SFT | {"curriculum": {"name": "easy_to_hard", "pacing": "root"}}, "pacing"),
        (SFT | {"curriculum": {"name": "easy_to_hard", "options": {"pace": "root"}}}, "pace"),
        ({"model": "a/b"}, "'kind' is a required property"),
    ],
)
def test_the_schema_marks_what_mindgpt_would_refuse(stage: dict, fault: str):
    assert any(fault in one for one in faults(stages={"one": stage}))


def test_a_recipe_that_extends_another_may_leave_keys_out_but_not_invent_them():
    assert (
        faults(extends="quickstart", stages={"rl": {"steps": 5}, "align": None, "base": {"kind": "sft", "lr": 1e-4}})
        == []
    )
    assert "'epoch' was unexpected" in faults(extends="quickstart", stages={"base": {"kind": "sft", "epoch": 1}})[0]
    assert faults(stages={"align": None})
    assert "'stagess' was unexpected" in faults(extends="quickstart", stagess={})[0]


def test_keys_are_found_and_printed():
    done = mindgpt("keys", "--search", "keep_per_prompt")
    about = "Right answers kept per prompt at most, distinct ones first."
    assert done.stdout == f"rejection_sampling\tkeep_per_prompt\t\twhole number ≥ 1\t2\t{about}\n"
    rows = json.loads(mindgpt("keys", "rl", "--json").stdout)
    (clip,) = [row for row in rows if row["key"] == "clip"]
    assert clip["section"] == "rl" and clip["default"] == "null" and not clip["required"]
    assert any(row["key"] == "curriculum.options.pacing" and row["of"] == "sampler easy_to_hard" for row in rows)
    assert any(row["key"] == "advantage.lambda" for row in rows)
    wrong = mindgpt("keys", "sfd")
    assert wrong.returncode == 2 and "did you mean 'sft'" in wrong.stderr


def test_keys_and_list_import_nothing_heavy():
    code = (
        "import sys, runpy\n"
        "from mindgpt_plugins.cli import run_verb\n"
        "for argv in (['keys'], ['list']):\n"
        "    sys.argv = ['mindgpt', *argv]\n"
        "    try:\n        run_verb()\n    except SystemExit:\n        pass\n"
        "heavy = {'torch', 'transformers', 'verl', 'llamafactory', 'ray', 'vllm', 'scipy', 'PIL', 'pyarrow'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "HEAVY []"
