"""Real verl with our patches on, and with them off: the same run, fewer encoder calls. Minutes: ``-m slow``."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from mindgpt_patches import records
from real_verl import commands, lines, stage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
COUNTER = Path(__file__).parents[1] / "patches" / "encoder_count"
#: Both runs need the first; verl's tiled MLP is for other models, so its patch is there and stays idle.
PATCHES = ("vision_dedup", "verl_linear_log_probs", "verl_tiled_mlp", "pos_embed_cache", "processor_typed_dict")
VERL = {
    "actor_rollout_ref.model.use_fused_kernels": True,
    "actor_rollout_ref.model.fused_kernel_options.impl_backend": "torch",
    # Adam makes whole steps of the rounding in gradients that are zero.
    "actor_rollout_ref.actor.optim.optimizer": "SGD",
    "actor_rollout_ref.actor.optim.lr": 0.1,
}


def run(world: Path, folder: Path, spread: str, mode: str) -> list[tuple[int, int]]:
    """Pictures and distinct pictures of each call of the model's vision tower, in all processes."""
    patches = {"verl_equal_length": "on"} | dict.fromkeys(PATCHES, mode) | {"patch_embed_linear": "off"}
    config = stage(world, patches=patches, verl=VERL)
    counted = folder.parent / f"{folder.name}.encoded"
    for argv, environment in commands(folder, config, (spread,)):
        environment = environment | {
            "PYTHONPATH": f"{environment['PYTHONPATH'].rstrip(os.pathsep)}:{COUNTER}",  # ours hands over to it
            "ENCODED": str(counted),
        }
        done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=1500)
        assert done.returncode == 0, f"{argv[1:3]}\n{done.stdout[-5000:]}\n{done.stderr[-5000:]}"
    width = json.loads((world / "model" / "config.json").read_text())["vision_config"]["out_hidden_size"]
    calls = [json.loads(line) for line in counted.read_text().splitlines()]
    return [(pictures, distinct) for of, pictures, distinct in calls if of == width]  # others: certificates


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(folder / "checkpoints/global_step_2/actor/huggingface/model.safetensors")


def test_on_is_off(world: Path, tmp_path: Path, spread: str) -> None:
    off, on = tmp_path / "off", tmp_path / "on"
    plain, few = run(world, off, spread, "off"), run(world, on, spread, "on")

    outcomes = {one.name: one for one in records.read_outcomes(on)}
    assert {outcomes[name].state for name in (*PATCHES, "verl_equal_length")} == {"applied"}
    for name in ("vision_dedup", "verl_linear_log_probs", "pos_embed_cache"):
        assert max((outcomes[name].parity or {"none": 1}).values()) <= 1e-5
    assert {one.state for one in records.read_outcomes(off) if one.name in PATCHES} == {"off"}

    before, after = weights(off), weights(on)
    start = weights_of(world / "model")
    assert max(float((before[name] - start[name]).abs().max()) for name in before) > 1e-4
    assert max(float((before[name] - after[name]).abs().max()) for name in before) <= 1e-6
    assert lines(off / "rollouts" / "2.jsonl") == lines(on / "rollouts" / "2.jsonl")
    timed = ("seconds", "perf", "actor/perf", "timing")
    for one, other in zip(lines(off / "metrics.jsonl"), lines(on / "metrics.jsonl"), strict=True):
        assert one.keys() == other.keys()
        for key in (key for key in one if not key.startswith(timed) and isinstance(one[key], float)):
            assert other[key] == pytest.approx(one[key], rel=1e-5, abs=1e-6), key

    assert len(plain) == len(few) > 0
    assert sorted(pictures for pictures, _ in few) == sorted(distinct for _, distinct in plain)
    assert sum(pictures for pictures, _ in few) * 2 <= sum(pictures for pictures, _ in plain)


def weights_of(model: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(model / "model.safetensors")
