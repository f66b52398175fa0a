"""A reward of another package, installed with pip and found by its entry point: used in Ray, and never left out."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from real_verl import launch, lines, run, stage
from support import packages

PACKAGE = Path(__file__).parents[1] / "third_party_plugin"
REWARDS = {"spread": {}, "mentions_target": {"weight": 0.5, "options": {"credit": 1.0}}}
# As if a dependency were missing where replies are scored: the task runner can import the package, later ones cannot.
ONLY_IN_REWARD_WORKERS = """
import os, pathlib, sys
if "default_worker.py" in sys.argv[0]:
    first = pathlib.Path({marker!r})
    if first.exists() and first.read_text() != str(os.getpid()):
        raise ImportError("no module named 'units_database' on this machine")
    first.write_text(str(os.getpid()))
"""


def install(folder: Path, prefix: str = "") -> Path:
    """Install the package from its source; ``prefix`` goes before its module's code."""
    source = packages.copy_source(PACKAGE, folder / "source")
    module = source / "src/mindgpt_example_reward/rewards.py"
    head, code = module.read_text().split("\n", 1)
    module.write_text(f"{head}\n{prefix}\n{code}")
    return packages.install(source, folder / "site")


def on_path(monkeypatch: pytest.MonkeyPatch, target: Path) -> None:
    """In this process and in those it starts."""
    monkeypatch.syspath_prepend(str(target))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(target), os.environ.get("PYTHONPATH", "")]))


def test_the_driver_refuses_a_package_that_does_not_import(tmp_path, monkeypatch):
    on_path(monkeypatch, install(tmp_path, "raise ImportError(\"no module named 'units_database'\")"))
    code = (
        "import json, sys; from pathlib import Path; from mindgpt_plugins.stages.base import Context;"
        "from mindgpt_plugins.stages.rl.stage import RL; from mindgpt_plugins.stages.rl.config import RLConfig;"
        "config = RLConfig.model_validate(json.loads(sys.argv[1]));"
        "print(RL().check(config, Context(name='rl', folder=Path('.'), inputs={}, seed=0)))"
    )
    config = {"kind": "rl", "model": "m", "train": "d/train", "steps": 1, "rewards": {"mentions_target": {}}}
    done = subprocess.run([sys.executable, "-c", code, json.dumps(config)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "mentions_target" in done.stdout and "units_database" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_an_installed_reward_scores_in_rays_workers(world, tmp_path, spread, monkeypatch):
    on_path(monkeypatch, install(tmp_path))
    metrics = run(tmp_path / "rl", stage(world, steps=1, rewards=REWARDS), (spread,))
    assert metrics[0]["reward/mentions_target/scored"] == 1.0
    loaded = json.loads((tmp_path / "rl/loaded.json").read_text())
    assert loaded["reward"]["pids"] and loaded["trainer"]["pid"] not in loaded["reward"]["pids"]
    for row in lines(tmp_path / "rl/rollouts/1.jsonl"):
        found = row["gts"].casefold() in row["output"].casefold()
        assert row["components"]["mentions_target"] == float(found)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_reward_that_workers_cannot_import_stops_the_run_before_step_1(world, tmp_path, spread, monkeypatch):
    prefix = ONLY_IN_REWARD_WORKERS.format(marker=str(tmp_path / "first"))
    on_path(monkeypatch, install(tmp_path, prefix))
    folder = tmp_path / "rl"
    done = launch(folder, stage(world, steps=1, rewards=REWARDS), (spread,))
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "mentions_target" in said and "no module named 'units_database' on this machine" in said
    assert not (folder / "metrics.jsonl").exists() or not lines(folder / "metrics.jsonl")
    assert not (folder / "checkpoints/global_step_1").exists()
