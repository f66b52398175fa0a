"""docs/stages: one page per kind, whose recipe loads, plans, finds nothing wrong with itself, and renders."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import markdown_pages as pages
import pytest
from support.planted import PLANTED, list_leaks

from mindgpt_plugins.core.builtins import BUILTINS
from mindgpt_plugins.core.files import write_json
from mindgpt_plugins.core.registry import get_registered
from mindgpt_plugins.pipeline import plan, runner
from mindgpt_plugins.recipe.loading import load_recipe
from mindgpt_plugins.workbench.report import build_report

STAGES = pages.DOCS / "stages"
KINDS = sorted(BUILTINS["stage"])


def test_every_kind_has_its_page_and_its_row() -> None:
    assert sorted(path.stem for path in STAGES.glob("*.md") if path.stem != "README") == KINDS
    rows = [line for line in (STAGES / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("| [`")]
    assert sorted(line.split("`")[1] for line in rows) == KINDS


@pytest.fixture
def plan_page(tmp_path: Path) -> Callable[..., plan.Plan]:
    """Plan the recipe of a kind's page, saved where the pages say: beside the example data."""
    for name in ("example_data", "data/example"):
        shutil.copytree(pages.ROOT / "recipes" / name, tmp_path / name)
    own_python = tmp_path / "env" / "quantise" / "bin" / "python"
    own_python.parent.mkdir(parents=True)
    own_python.symlink_to(sys.executable)

    def make(kind: str, *overrides: str) -> plan.Plan:
        (written,) = pages.write_files(STAGES / f"{kind}.md", tmp_path).values()
        return plan.make_run_plan(load_recipe(str(written), ["device=cpu", *overrides]), tmp_path / "runs")

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_the_recipe_of_a_page_is_valid_and_renders(
    kind: str, plan_page: Callable[[str], plan.Plan], tmp_path: Path
) -> None:
    planned = plan_page(kind)
    assert kind in [stage.config.kind for stage in planned.stages]
    for stage in planned.stages:
        assert stage.stage.check(stage.config, stage.context) == [], stage.name
        folder = tmp_path / "rendered" / stage.name
        folder.mkdir(parents=True)
        assert runner.render_stage_commands(stage, folder) and any(folder.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_that_is_written_of_a_stage_holds_a_value_of_the_environment(
    kind: str, plan_page: Callable[..., plan.Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = "PLAIN_SETTING"
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    side = get_registered("stage", kind).side
    names = ",".join(name for name in PLANTED if name != own)
    planned = plan_page(kind, f"launch.{side}.env.{own}={PLANTED[own]}", f"launch.{side}.env_from=[{names}]")
    for stage in planned.stages:
        stage.folder.mkdir(parents=True)
        rendered = runner.render_stage_commands(stage)
        write_json(stage.folder / "stage.json", runner._record(stage, planned))
        (stage.folder / "command.sh").write_text(runner._script(stage, rendered, planned))
    runner.write_manifest(planned)
    build_report(planned.run)
    assert own in (planned.run / "report.html").read_text() and (planned.run / "recipe.resolved.yaml").is_file()
    assert list_leaks(tmp_path) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_names_what_the_stage_leaves_and_where_it_runs(
    kind: str, plan_page: Callable[[str], plan.Plan], tmp_path: Path
) -> None:
    stage = next(one for one in plan_page(kind).stages if one.config.kind == kind)
    text = (STAGES / f"{kind}.md").read_text(encoding="utf-8")
    index = (STAGES / "README.md").read_text(encoding="utf-8")
    (leaves,) = re.findall(r"^\| leaves \|.*$", text, re.MULTILINE)
    (row,) = re.findall(rf"^\| \[`{kind}`\].*$", index, re.MULTILINE)
    for name in stage.stage.artefacts(stage.config, stage.context):
        assert f"`{name}`" in leaves and f"`{name}`" in row, name
    assert f"`launch.{stage.stage.side}.python`" in text
    (tmp_path / "rendered").mkdir()
    first = runner.render_stage_commands(stage, tmp_path / "rendered")[0]
    assert f"python -m {first.argv[1]}" in text
    written = re.findall(r"`([\w.]+)`", re.findall(r"^\| writes first \|.*$", text, re.MULTILINE)[0])
    assert (tmp_path / "rendered" / written[0]).is_file()
