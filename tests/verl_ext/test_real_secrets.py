"""What verl, Hydra and Ray write in a real run, searched for every value of the environment. Minutes; ``-m slow``."""

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.planted import PLANTED, list_leaks

from mindgpt_plugins.core import files, process
from mindgpt_plugins.pipeline import plan, runner
from mindgpt_plugins.recipe.loading import validate_recipe
from mindgpt_plugins.stages.rl.stage import _ray_folder
from mindgpt_plugins.workbench.report import build_report

pytest.importorskip("transfer_queue")
pytest.importorskip("qwen_vl_utils")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

CHECK = """
import os
from mindgpt_plugins.rewards.sdk import Rollout, reward

@reward
def has_variables(r: Rollout) -> float:
    return float(all(name in os.environ for name in {names!r})) * (sum(r.token_ids) % 7 / 6)
"""


def test_verl_hydra_and_ray_write_no_value_of_the_environment(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rich.console import Console

    own = "PLAIN_SETTING"
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value) if name != own else monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    (tmp_path / "check.py").write_text(CHECK.format(names=tuple(PLANTED)))
    rl = {
        "kind": "rl", "model": str(world / "model"), "train": f"{world / 'data'}/train", "steps": 1, "lr": 1e-4,
        "group_size": 4, "prompts_per_step": 4, "micro_batch": 8, "max_response_tokens": 8, "save_every": 1,
        "max_prompt_tokens": 64, "rewards": {"has_variables": {}}, "advantage": {"k": 2},
        "verl": {"trainer.logger": ["console", *filter(importlib.util.find_spec, ("tensorboard", "wandb"))]},
    }  # fmt: skip
    launch = {"rl": {"env": {own: PLANTED[own]}, "env_from": [name for name in PLANTED if name != own]}}
    head = {"name": "planted", "device": "cpu", "offline": True, "plugins": [str(tmp_path / "check.py")]}
    recipe = validate_recipe({**head, "launch": launch, "stages": {"rl": rl}}, tmp_path / "planted.yaml")
    planned = plan.make_run_plan(recipe, tmp_path / "runs")
    stage, kept = planned.stages[0].folder, tmp_path / "ray"
    run_command = process.run_command

    def run_and_keep(*arguments: Any, **options: Any) -> tuple[int, int]:
        """The stage's second command removes what Ray wrote."""
        ended = run_command(*arguments, **options)
        for path in [path for path in _ray_folder(stage).rglob("*") if path.is_file() and not path.is_symlink()]:
            target = kept / path.relative_to(_ray_folder(stage))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        return ended

    monkeypatch.setattr(process, "run_command", run_and_keep)
    folder = runner.run_plan(planned, Console(quiet=True))
    build_report(folder)
    # Workers had them: the reward is not zero everywhere.
    assert any(line["score"] > 0 for path in (stage / "rollouts").glob("*.jsonl") for line in files.load_jsonl(path))
    assert [*kept.rglob("raylet.out")] and [*kept.rglob("worker-*.out")]
    # Hydra keeps a log of its own; its copy of the configuration is off, and verl prints it into the log instead.
    assert (stage / "main_ppo.log").is_file() and "rollout_correction" in (stage / "log.txt").read_text()
    assert list_leaks(tmp_path / "runs", kept) == []
