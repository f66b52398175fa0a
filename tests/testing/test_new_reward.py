"""The skeleton passes its own tests, the linter, and is found by a recipe."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mindgpt_plugins.cli.new_reward import write_reward_package
from mindgpt_plugins.core.registry import RegistryError


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reward_package("says_target", tmp_path_factory.mktemp("new") / "package")


def run(package: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=package, env=environment, capture_output=True, text=True, check=False
    )


def test_its_own_tests_pass(package: Path):
    done = run(package, "pytest", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0 and "9 passed" in done.stdout, done.stdout


def test_its_tests_fail_when_the_reward_breaks(tmp_path: Path):
    package = write_reward_package("says_target", tmp_path / "package")
    module = package / "src/mindgpt_says_target/rewards.py"
    module.write_text(module.read_text().replace("Score(1.0 if", "Score(2.0 if"))
    done = run(package, "pytest", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 1 and "a task must return a number from 0 to 1" in done.stdout


@pytest.mark.parametrize("command", [("check", "--no-cache"), ("format", "--check", "--no-cache")])
def test_the_linter_is_content(package: Path, command: tuple[str, ...]):
    done = run(package, "ruff", *command, ".")
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_entry_point_leads_to_the_reward(package: Path):
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    target = project["entry-points"]["mindgpt.rewards"]["says_target"]
    module, _, name = target.partition(":")
    assert (package / "src" / f"{module.replace('.', '/')}.py").is_file()
    assert f"def {name}(" in (package / "src" / f"{module.replace('.', '/')}.py").read_text()


@pytest.mark.parametrize(
    ("name", "why"), [("Unit-Match", "use lower-case"), ("class", "use lower-case"), ("accuracy", "already a reward")]
)
def test_impossible_names_are_refused(tmp_path: Path, name: str, why: str):
    with pytest.raises(RegistryError, match=why):
        write_reward_package(name, tmp_path / "x")


def test_nothing_is_overwritten(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RegistryError, match="not an empty folder"):
        write_reward_package("says_target", tmp_path)
