"""``launch.*.env`` and ``env_from`` reach a stage's process, and nothing that a run writes holds a value of theirs."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.pipeline import plan, runner
from mindgpt_plugins.recipe.loading import RecipeError, load_recipe
from mindgpt_plugins.workbench.report import build_report

GIVEN, TAKEN = "given-by-the-recipe", "taken from the shell"
PLUGIN = '''
from typing import Literal
from mindgpt_plugins.core.registry import register
from mindgpt_plugins.core.schema import StageConfig
from mindgpt_plugins.stages.base import Command, Stage

SCRIPT = """
import hashlib, os, pathlib
told = [hashlib.sha256(os.environ[name].encode()).hexdigest() for name in ("GIVEN", "TAKEN", "PYTHONPATH")]
pathlib.Path("seen").write_text(" ".join(told))
"""

class SpyConfig(StageConfig):
    kind: Literal["spy"] = "spy"

@register("stage", "spy")
class Spy(Stage):
    Config = SpyConfig
    side = "spying"
    def render(self, config, context):
        return [Command(("-c", SCRIPT), {"OWN": "it's"})]
    def artefacts(self, config, context):
        return {"seen": str(context.folder / "seen")}
'''


@pytest.fixture
def planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., plan.Plan]:
    monkeypatch.setenv("TAKEN", TAKEN)
    (tmp_path / "spy.py").write_text(PLUGIN)
    (tmp_path / "r.yaml").write_text(
        "name: r\nplugins: [./spy.py]\ndevice: cpu\n"
        f"launch: {{spying: {{env: {{GIVEN: {GIVEN}, PYTHONPATH: /given-by-the-recipe-too}}, env_from: [TAKEN]}}}}\n"
        "stages:\n  a: {kind: spy}\n"
    )
    return lambda *more: plan.make_run_plan(load_recipe(str(tmp_path / "r.yaml"), more), tmp_path / "runs")


def written(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def digests(*values: str) -> list[str]:
    return [hashlib.sha256(value.encode()).hexdigest() for value in values]


def test_the_process_has_the_values_and_no_file_does(planned: Callable[..., plan.Plan], tmp_path: Path) -> None:
    made = planned()
    folder = runner.run_plan(made, Console(quiet=True))
    build_report(folder)
    assert (made.stages[0].folder / "seen").read_text().split()[:2] == digests(GIVEN, TAKEN)
    everything = written(tmp_path / "runs")
    assert b"GIVEN" in everything and b"TAKEN" in everything
    for value in (GIVEN, TAKEN):
        assert value.encode() not in everything


def test_the_command_by_hand_asks_for_the_values(planned: Callable[..., plan.Plan]) -> None:
    made = planned()
    runner.run_plan(made, Console(quiet=True))
    script, seen = made.stages[0].folder / "command.sh", made.stages[0].folder / "seen"
    ran = seen.read_text()
    seen.unlink()
    bare = {"PATH": os.environ["PATH"]}
    refused = subprocess.run(["bash", script], env=bare, capture_output=True, text=True, check=False)
    assert refused.returncode and "GIVEN: export it; the recipe names it in launch.spying.env" in refused.stderr
    given = {"GIVEN": GIVEN, "TAKEN": TAKEN, "PYTHONPATH": "/given-by-the-recipe-too"}
    subprocess.run(["bash", script], env=bare | given, check=True)
    assert seen.read_text() == ran


def test_a_new_value_does_not_run_a_stage_again(planned: Callable[..., plan.Plan]) -> None:
    runner.run_plan(planned(), Console(quiet=True))
    assert planned("launch.spying.env.GIVEN=rotated").stages[0].status == "reuse"


def test_nothing_starts_without_a_variable(planned: Callable[..., plan.Plan], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAKEN")
    made = planned()
    with pytest.raises(StageError, match=r"TAKEN is not set; export it; .* launch\.spying\.env_from"):
        runner.run_plan(made, Console(quiet=True))
    assert not made.run.exists() and not made.stages[0].folder.exists()


def test_a_recipe_that_a_run_wrote_down_says_that_its_values_are_hidden(
    planned: Callable[..., plan.Plan], tmp_path: Path
) -> None:
    folder = runner.run_plan(planned(), Console(quiet=True))
    (tmp_path / "again.yaml").write_text((folder / "recipe.resolved.yaml").read_text())
    with pytest.raises(RecipeError, match=r"env\.GIVEN was hidden when a run wrote its recipe down"):
        load_recipe(str(tmp_path / "again.yaml"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("launch.spying.env_from=[GIVEN]", "GIVEN is under env and env_from"),
        ("launch.spying.env_from=[A=b]", "cannot be the name of an environment variable"),
        ("launch.spying.env={A-B: c}", "cannot be the name of an environment variable"),
    ],
)
def test_names_that_cannot_be(override: str, message: str, planned: Callable[..., plan.Plan]) -> None:
    with pytest.raises(RecipeError, match=message):
        planned(override)
