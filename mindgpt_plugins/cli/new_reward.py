"""``mindgpt new-reward``: the skeleton of an installable package with one reward and its tests."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from string import Template
from typing import Annotated

import typer

FILES = {
    "pyproject.toml": """\
[build-system]
requires = ["hatchling>=1.24"]
build-backend = "hatchling.build"

[project]
name = "$project"
version = "0.1.0"
description = "The reward $name for mindgpt-plugins."
requires-python = ">=3.11"
dependencies = ["mindgpt-plugins"]

[project.optional-dependencies]
dev = ["pytest>=8.2", "ruff>=0.9"]

# How a recipe finds the reward by its name once this package is installed.
[project.entry-points."mindgpt.rewards"]
$name = "$package.rewards:$name"

[tool.hatch.build.targets.wheel]
packages = ["src/$package"]

[tool.pytest.ini_options]
pythonpath = ["src"]
testpaths = ["tests"]

[tool.ruff]
line-length = 120

[tool.ruff.lint]
select = ["E", "F", "I", "UP", "B", "D", "SIM", "RUF"]

[tool.ruff.lint.pydocstyle]
convention = "google"
""",
    "README.md": """\
# $project

    pip install -e '.[dev]'
    pytest && ruff check . && ruff format --check .

In a recipe, under the `rl` stage:

    rewards:
      accuracy: {weight: 1.0}
      $name: {weight: 0.5, options: {credit: 0.5}, timeout: 1.0, on_error: stop}

Try it on recorded replies, without training:

    mindgpt rewards try my_recipe.yaml --on rollouts.jsonl
""",
    "src/$package/__init__.py": '''\
"""Supplies the reward ``$name``."""
''',
    "src/$package/rewards.py": '''\
"""The reward ``$name``."""

from __future__ import annotations

from mindgpt_plugins.rewards.sdk import Rollout, Score, reward


@reward  # role="task" | "gate" | "modulator", scope="sample" | "group"; the function may be async
def $name(r: Rollout, *, credit: float = 0.5) -> Score | None:
    """1 for a reply that ends with the gold answer, ``credit`` for one that mentions it, else 0.

    Args:
        r: the reply; see ``mindgpt_plugins.rewards.sdk.Rollout`` for what it knows.
        credit: for a mention. Options are keyword-only; the recipe sets them.

    Returns:
        A score in [0, 1], or None for "not scored": prompts without a gold answer.
    """
    if not r.target:
        return None
    text, target = r.text.casefold().strip(), r.target.casefold()
    found = target in text
    return Score(1.0 if text.endswith(target) else credit * found, log={"found": found})
''',
    "tests/test_$name.py": '''\
"""The contract every reward keeps, and what this one promises."""

from typing import ClassVar

import pytest
from mindgpt_plugins.rewards.sdk import Rollout
from mindgpt_plugins.testing import RewardContract

from $package.rewards import $name


class Test$title(RewardContract):
    """Signature, range, determinism, odd replies, time, import in a fresh process; see ``mindgpt_plugins.testing``."""

    reward = $name
    options: ClassVar = {"credit": 0.5}
    examples: ClassVar = [
        (Rollout("It is a red car. answer: red", target="red"), 1.0),
        (Rollout("Red, or is it blue?", target="red"), 0.5),
        (Rollout("It is a blue car.", target="red"), 0.0),
        (Rollout("Who knows.", target=""), None),
    ]


@pytest.mark.parametrize("credit", [0.0, 0.25])
def test_credit_is_an_option(credit: float):
    """A mention gets what the recipe says."""
    assert $name(Rollout("red or blue", target="red"), credit=credit).value == credit
''',
}


def add(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("new-reward")(new_reward)


def new_reward(
    name: Annotated[str, typer.Argument(help="Name of the reward, as recipes will write it, e.g. unit_match.")],
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Where to put the package; default: ./<name> with dashes.")
    ] = None,
) -> None:
    """Write a small installable package: the reward, its entry point, and tests that already pass.

    Example: mindgpt new-reward unit_match && cd mindgpt-unit-match && pytest
    """
    target = write_reward_package(name, folder)
    typer.echo(f"{target}\nnext: cd {target} && pip install -e '.[dev]' && pytest")


def write_reward_package(name: str, folder: Path | None = None) -> Path:
    """Write the package; returns its folder.

    Raises:
        RegistryError: the name is no Python identifier, is taken by a reward, or the folder is not empty.
    """
    from mindgpt_plugins.core.registry import RegistryError, describe_origin, list_registered_names

    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise RegistryError(f"reward name {name!r}: use lower-case letters, digits and underscores, e.g. unit_match")
    if name in list_registered_names("reward"):
        raise RegistryError(
            f"there is already a reward {name!r} ({describe_origin('reward', name)}); choose another name"
        )
    values = {
        "name": name,
        "package": f"mindgpt_{name}",
        "project": f"mindgpt-{name.replace('_', '-')}",
        "title": "".join(part.capitalize() for part in name.split("_")),
    }
    target = folder or Path(values["project"])
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise RegistryError(f"{target} exists and is not an empty folder; choose another with --dir")
    for place, content in FILES.items():
        path = target / Template(place).substitute(values)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Template(content).substitute(values), encoding="utf-8")
    return target
