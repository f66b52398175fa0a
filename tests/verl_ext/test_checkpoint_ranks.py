"""A run goes on only from checkpoints of as many ranks as it has; otherwise it ends before Ray."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mindgpt_plugins.stages.base import Context
from mindgpt_plugins.stages.rl.config import RLConfig
from mindgpt_plugins.stages.rl.stage import RL
from mindgpt_plugins.verl_ext.checkpoints import count_checkpoint_ranks, find_command_mismatch, find_rank_mismatch


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A stage's folder whose newest checkpoint was written by two ranks, an older one by four."""
    for step, ranks in ((5, 4), (10, 2)):
        actor = tmp_path / "checkpoints" / f"global_step_{step}" / "actor"
        actor.mkdir(parents=True)
        for kind in ("model", "optim", "extra_state"):
            for rank in range(ranks):
                (actor / f"{kind}_world_size_{ranks}_rank_{rank}.pt").touch()
    (tmp_path / "checkpoints" / "latest_checkpointed_iteration.txt").write_text("10")
    return tmp_path


def check(folder: Path, **changes: object) -> list[str]:
    config = RLConfig.model_validate({"kind": "rl", "model": "m", "train": "world/rl", "steps": 20, **changes})
    return RL().check(config, Context("rl", folder, {"world": {"datasets": str(folder)}}, seed=0, cpu=False))


def test_the_newest_checkpoint_decides(saved: Path):
    checkpoints = saved / "checkpoints"
    assert count_checkpoint_ranks(checkpoints / "global_step_5") == 4
    assert find_rank_mismatch(checkpoints, 2, "workers: 2") is None
    problem = find_rank_mismatch(checkpoints, 4, "workers: 4")
    assert problem is not None and problem.startswith("workers: 4 makes 4 training ranks, but ")
    assert "global_step_10 was written by 2" in problem


def test_no_checkpoint_and_other_formats_are_left_alone(saved: Path, tmp_path: Path):
    assert find_rank_mismatch(tmp_path / "nothing", 4, "") is None
    (saved / "checkpoints" / "latest_checkpointed_iteration.txt").write_text("")  # torn: our trainer mends it
    assert find_rank_mismatch(saved / "checkpoints", 4, "") is None
    megatron = saved / "checkpoints" / "global_step_20" / "actor" / "dist_ckpt"
    megatron.mkdir(parents=True)
    (saved / "checkpoints" / "latest_checkpointed_iteration.txt").write_text("20")
    assert find_rank_mismatch(saved / "checkpoints", 4, "") is None


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"workers": 4}, "workers: 4 makes 4"),
        ({"workers": 2, "verl": {"trainer": {"nnodes": 2}}}, "workers: 2 × verl.trainer.nnodes: 2 makes 4"),
        ({"workers": 2, "verl": {"trainer.n_gpus_per_node": 1}}, "verl.trainer.n_gpus_per_node: 1 makes 1"),
    ],
)
def test_a_stage_is_refused_with_the_key_that_decides(saved: Path, changes, key):
    (problem,) = check(saved, **changes)
    assert problem.startswith(key) and "written by 2" in problem


def test_the_same_number_by_other_keys_passes(saved: Path):
    assert check(saved, workers=2) == []
    assert check(saved, workers=1, verl={"trainer": {"nnodes": 2}}) == []


def test_a_command_by_hand_ends_as_soon_as_verl_loads_us(saved: Path):
    override = f"trainer.default_local_dir={saved / 'checkpoints'}"
    assert find_command_mismatch([override, "trainer.n_gpus_per_node=1", "trainer.nnodes=2"]) is None
    assert find_command_mismatch([override, "trainer.n_gpus_per_node=4", "trainer.resume_mode=disable"]) is None
    assert find_command_mismatch(["trainer.n_gpus_per_node=4"]) is None
    code = "import mindgpt_plugins.verl_ext.entry; print('went on')"

    def start(gpus: int) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-c", code, override, f"trainer.n_gpus_per_node={gpus}"]
        env = {k: v for k, v in os.environ.items() if not k.startswith("MINDGPT_")} | {"MINDGPT_REQUIRED": "1"}
        return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=300)

    assert start(2).stdout == "went on\n"
    refused = start(4)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("mindgpt: error: trainer.n_gpus_per_node × trainer.nnodes makes 4 training ranks")
