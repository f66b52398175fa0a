"""Shared by the tests that start verl for real: what the ``rl`` stage renders, run as the pipeline runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

from mindgpt_plugins.stages.base import Context
from mindgpt_plugins.stages.rl.config import RLConfig
from mindgpt_plugins.stages.rl.stage import RL

# Something every reply differs in, so that an untrained model gets a gradient.
SPREAD = """
from mindgpt_plugins.rewards.sdk import Rollout, reward

@reward
def spread(r: Rollout) -> float:
    return sum(r.token_ids) % 7 / 6
"""


def stage(world: Path, **changes) -> RLConfig:
    """A tiny ``rl`` stage: 2 steps of 4 prompts × 4 replies."""
    settings = {
        "kind": "rl", "model": str(world / "model"), "train": f"{world / 'data'}/train", "steps": 2, "lr": 1e-4,
        "group_size": 4, "prompts_per_step": 4, "micro_batch": 8, "max_response_tokens": 8, "save_every": 1,
        "max_prompt_tokens": 64, "rewards": {"spread": {}}, "advantage": {"k": 2},
    } | changes  # fmt: skip
    return RLConfig.model_validate(settings)


def commands(folder: Path, config: RLConfig, plugins: tuple[str, ...]) -> list[tuple[list[str], dict[str, str]]]:
    """argv and environment of every process of the stage."""
    from mindgpt_patches.cpu import SITE

    folder.mkdir(exist_ok=True)
    context = Context(name="rl", folder=folder, inputs={}, seed=0, plugins=plugins)
    assert RL().check(config, context) == []
    path = os.pathsep.join([str(SITE), os.environ.get("PYTHONPATH", "")])
    return [
        ([sys.executable, *command.argv], os.environ | command.env | {"PYTHONPATH": path, "HF_HUB_OFFLINE": "1"})
        for command in RL().render(config, context)
    ]


def launch(folder: Path, config: RLConfig, plugins: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run verl alone, whatever comes of it."""
    argv, environment = commands(folder, config, plugins)[0]
    return subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=1500)


def run(folder: Path, config: RLConfig, plugins: tuple[str, ...] = ()) -> list[dict]:
    """Run the whole stage and return its metrics lines; what a failing process wrote last is in the assertion."""
    for argv, environment in commands(folder, config, plugins):
        done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=1500)
        assert done.returncode == 0, f"{argv[1:3]}\n{done.stdout[-5000:]}\n{done.stderr[-5000:]}"
    return lines(folder / "metrics.jsonl")


def lines(path: Path) -> list[dict]:
    """A JSONL file."""
    with path.open(encoding="utf-8") as file:  # `splitlines` would also split inside replies
        return [json.loads(line) for line in file]
