"""Real verl on two gloo ranks with an untied model, an 8B shrunk: the second is built without weights. ``-m slow``."""

from pathlib import Path

import pytest
import torch
from mindgpt_patches import records
from real_verl import lines, run, stage
from safetensors.torch import load_file
from support import hub_folders

from mindgpt_plugins.workbench.rehearse.shrink import shrink_model

pytest.importorskip("transfer_queue")
pytest.importorskip("qwen_vl_utils")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
LR = 1e-4


def test_two_ranks_of_an_untied_model_train_the_same_as_one(world: Path, tmp_path: Path, spread: str) -> None:
    model = tmp_path / "model"
    shrink_model(hub_folders.make("qwen3_vl_8b", tmp_path / "hub"), model)
    start, found = load_file(model / "model.safetensors"), []
    assert "lm_head.weight" in start
    for workers in (2, 1):
        changes = {"workers": workers, "micro_batch": 4, "steps": 1, "lr": LR, "max_prompt_tokens": 256}
        folder = tmp_path / f"rl{workers}"
        (metrics,) = run(folder, stage(world, model=str(model), **changes), (spread,))
        outcomes = {one.name: one.state for one in records.read_outcomes(folder)}
        assert outcomes["verl_meta_init"] == "applied"
        step = folder / "checkpoints/global_step_1/actor"
        found.append((metrics, lines(folder / "rollouts/1.jsonl"), load_file(step / "huggingface/model.safetensors")))

    shard = torch.load(
        tmp_path / "rl2/checkpoints/global_step_1/actor/model_world_size_2_rank_1.pt", weights_only=False
    )
    (two, twos, trained), (one, ones, single) = found
    assert [row["output"] for row in twos] == [row["output"] for row in ones]
    assert two["actor/grad_norm"] == pytest.approx(one["actor/grad_norm"], rel=1e-3) != 0
    for name, before in start.items():
        half = shard[name].to_local()
        assert torch.equal(half, trained[name][-len(half) :]), name
        assert float((half - before[-len(half) :]).abs().max()) < 2 * LR, name  # rank 1 got the weights of rank 0
    assert max(float((trained[name] - single[name]).abs().max()) for name in start) < LR / 10
    assert float((trained["lm_head.weight"] - start["lm_head.weight"]).abs().max()) > LR / 10
