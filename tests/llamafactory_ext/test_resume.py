import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mindgpt_plugins.core.files import load_jsonl
from mindgpt_plugins.llamafactory_ext import checkpoints
from mindgpt_plugins.llamafactory_ext.callback import HostTrainerCallback


def checkpoint(folder, step, ranks=1):
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    names = ["rng_state.pth"] if ranks == 1 else [f"rng_state_{k}.pth" for k in range(ranks)]
    for name in names:
        torch.save({"cpu": torch.zeros(4)}, path / name)
    (path / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    return path


def test_whole_checkpoints_are_left_alone(tmp_path):
    checkpoint(tmp_path, 3), checkpoint(tmp_path, 6)
    assert checkpoints.remove_half_checkpoints(tmp_path, 1) == []
    assert checkpoints.remove_half_checkpoints(tmp_path / "missing", 1) == []


@pytest.mark.parametrize(
    ("tear", "why", "left"),
    [
        (lambda p: (p / "trainer_state.json").unlink(), "missing", []),
        (lambda p: (p / "trainer_state.json").write_text('{"global_step": 1'), "cut short", []),
        (lambda p: (p / "rng_state.pth").write_bytes(b"PK\3\4"), "rng_state.pth is cut short", []),
        # No kill leaves this one: somebody made it.
        (
            lambda p: (p / "trainer_state.json").write_text('{"global_step": 3}'),
            "of step 3",
            ["incomplete-checkpoint-12"],
        ),
    ],
)
def test_a_torn_one_is_removed_and_said(tmp_path, tear, why, left):
    old, torn = checkpoint(tmp_path, 9), checkpoint(tmp_path, 12)
    tear(torn)
    (tmp_path / ".checkpoint-12.part").mkdir()  # a kill came while it was being removed
    (tmp_path / ".checkpoint-12.part" / "model.safetensors").touch()
    (line,) = checkpoints.remove_half_checkpoints(tmp_path, 1)
    assert why in line
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([old.name, *left])
    assert checkpoints.remove_half_checkpoints(tmp_path, 1) == []


def test_the_only_one_torn_means_from_the_start(tmp_path):
    (checkpoint(tmp_path, 2) / "trainer_state.json").unlink()
    assert len(checkpoints.remove_half_checkpoints(tmp_path, 1)) == 1
    assert not list(tmp_path.glob("checkpoint-*"))


def test_an_older_half_deleted_one_is_the_hosts_business(tmp_path):
    (checkpoint(tmp_path, 2) / "trainer_state.json").unlink()
    checkpoint(tmp_path, 4)
    assert checkpoints.remove_half_checkpoints(tmp_path, 1) == []


def test_every_rank_must_have_saved_its_random_state(tmp_path):
    path = checkpoint(tmp_path, 5, ranks=2)
    assert checkpoints.find_checkpoint_problem(path, 2) is None
    (path / "rng_state_1.pth").unlink()
    assert "rank 1" in checkpoints.find_checkpoint_problem(path, 2)


def test_a_log_line_has_our_names_and_six_digits(tmp_path):
    logs = {"loss": 1 / 3, "learning_rate": 0.1, "note": "text", "grad_norm": float("nan")}
    callback = HostTrainerCallback(SimpleNamespace(), tmp_path / "metrics.jsonl")
    state = SimpleNamespace(is_world_process_zero=True, global_step=2, max_steps=9)
    callback.on_log(None, state, None, logs=logs)
    (line,) = load_jsonl(tmp_path / "metrics.jsonl")
    assert line.pop("seconds_per_step") > 0
    assert line == {"step": 2, "total": 9, "loss": 0.333333, "lr": 0.1, "grad_norm": None}


def test_optimizer_states_of_other_deepspeed_ranks_are_refused(tmp_path: Path):

    for step, ranks in ((8, 4), (16, 2)):
        folder = tmp_path / f"checkpoint-{step}" / f"global_step{step}"
        folder.mkdir(parents=True)
        for rank in range(ranks):
            (folder / f"bf16_zero_pp_rank_{rank}_mp_rank_00_optim_states.pt").touch()
    assert checkpoints.find_shard_mismatch(tmp_path, 2) is None
    problem = checkpoints.find_shard_mismatch(tmp_path, 4)
    assert problem is not None and "checkpoint-16 was written by 2 ranks of DeepSpeed, and this run has 4" in problem
    (tmp_path / "checkpoint-24").mkdir()  # not of DeepSpeed: any number of ranks reads it
    assert checkpoints.find_shard_mismatch(tmp_path, 4) is None
