"""What LLaMA-Factory writes in a real run, searched for every value of the environment. Minutes; ``-m slow``."""

from __future__ import annotations

from pathlib import Path

import lf_assets
import pytest
from support.planted import PLANTED, list_leaks

from mindgpt_plugins.pipeline import plan, runner
from mindgpt_plugins.recipe.loading import validate_recipe
from mindgpt_plugins.workbench.report import build_report

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


def test_llamafactory_writes_no_value_of_the_environment(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rich.console import Console

    own = "PLAIN_SETTING"
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value) if name != own else monkeypatch.delenv(name, raising=False)
    lf_assets.write_data(tmp_path / "first")
    shared = {"model": str(world / "model"), "max_steps": 2, "batch_size": 8, "lr": 1e-2, "cutoff_len": 256}
    stages = {
        "sft": {"kind": "sft", "data": ["first/domain"], **shared},
        "dpo": {"kind": "dpo", "data": ["first/pairs"], **shared},
    }
    launch = {"sft": {"env": {own: PLANTED[own]}, "env_from": [name for name in PLANTED if name != own]}}
    head = {"name": "planted", "device": "cpu", "offline": True, "image": {"min_pixels": 1024, "max_pixels": 4096}}
    recipe = validate_recipe({**head, "launch": launch, "stages": stages}, tmp_path / "planted.yaml")
    planned = plan.make_run_plan(recipe, tmp_path / "runs")
    folder = runner.run_plan(planned, Console(quiet=True))
    build_report(folder)
    assert all((stage.folder / "log.txt").stat().st_size for stage in planned.stages)
    assert list_leaks(tmp_path / "runs") == []
