"""Two data-parallel ranks of real verl over gloo, a reference policy, ``kill -9`` and resume. ``pytest -m slow``."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
from real_verl import commands, lines, run, stage
from safetensors.torch import load_file

pytest.importorskip("transfer_queue")
pytest.importorskip("qwen_vl_utils")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
LR = 1e-4
REFERENCE = {"actor_rollout_ref": {"actor": {"use_kl_loss": True, "kl_loss_coef": 0.01}}}


def settings(world: Path, workers: int):
    return stage(world, workers=workers, micro_batch=4, steps=2, lr=LR, verl=REFERENCE)


def model(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "checkpoints/global_step_2/actor/huggingface/model.safetensors")


@pytest.fixture(scope="module")
def two(world, tmp_path_factory, spread) -> Path:
    """A finished run with two ranks."""
    folder = tmp_path_factory.mktemp("two") / "rl"
    run(folder, settings(world, 2), (spread,))
    return folder


def test_two_ranks_train_the_same_model_as_one(world, tmp_path, spread, two):
    ones, twos = run(tmp_path / "rl", settings(world, 1), (spread,)), lines(two / "metrics.jsonl")
    assert [set(line) for line in ones] == [set(line) for line in twos]
    # The reference policy is the start: nothing to pull back in step 1.
    assert twos[0]["actor/kl_loss"] == pytest.approx(0.0, abs=1e-6)
    assert twos[1]["actor/kl_loss"] > 0
    for step in (1, 2):
        replies = [[row["output"] for row in lines(f / "rollouts" / f"{step}.jsonl")] for f in (tmp_path / "rl", two)]
        assert replies[0] == replies[1]
    for one, other in zip(ones, twos, strict=True):
        for key in ("actor/grad_norm", "actor/pg_loss", "actor/kl_loss", "reward/spread/mean"):
            assert other[key] == pytest.approx(one[key], rel=1e-3, abs=1e-6), key

    # Each rank holds a half; the halves are the model that is handed on.
    shards = [
        torch.load(two / f"checkpoints/global_step_2/actor/model_world_size_2_rank_{rank}.pt", weights_only=False)
        for rank in (0, 1)
    ]
    whole, start, single = model(two), load_file(world / "model" / "model.safetensors"), model(tmp_path / "rl")
    moved = 0
    for name in whole:
        halves = [shard[name].to_local() for shard in shards]
        assert torch.equal(torch.cat(halves), whole[name]), name
        before = start[name].split(len(halves[0]))
        moved += all(bool((half != old).any()) for half, old in zip(halves, before, strict=False))
    assert moved > len(whole) / 2
    difference = max(float((whole[name] - single[name]).abs().max()) for name in whole)
    print(f"max weight difference between one rank and two: {difference:.2e}")
    assert difference < LR / 10  # of two steps of LR; measured: 1.4e-7


def test_two_ranks_go_on_exactly_after_kill(world, tmp_path, spread, two):
    folder, config = tmp_path / "rl", settings(world, 2)
    argv, environment = commands(folder, config, (spread,))[0]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(argv, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
        tracker = folder / "checkpoints/latest_checkpointed_iteration.txt"
        deadline = time.monotonic() + 900
        while not (tracker.is_file() and tracker.read_text() == "1"):
            assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "log").read_text()[-3000:]
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert not (folder / "checkpoints/global_step_2").exists()
    time.sleep(5)  # Ray's daemons notice that their driver is gone
    metrics, whole = run(folder, config, (spread,)), lines(two / "metrics.jsonl")
    timed = ("seconds", "perf", "actor/perf", "timing")
    for line, other in zip(metrics, whole, strict=True):
        same = {k: v for k, v in line.items() if not k.startswith(timed)}
        assert same == {k: v for k, v in other.items() if not k.startswith(timed)}
    resumed, straight = model(folder), model(two)
    assert all(torch.equal(resumed[name], straight[name]) for name in straight)
