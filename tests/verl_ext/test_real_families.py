"""Real verl with tiny models of families that it does not know or cannot shard. ``pytest -m slow``, minutes each."""

from pathlib import Path

import pytest
import torch
from mindgpt_patches import records
from real_verl import lines, run, stage
from safetensors.torch import load_file
from support.families import build_family

pytest.importorskip("transfer_queue")
pytest.importorskip("qwen_vl_utils")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.mark.parametrize("family", ["gemma3", "internvl", "glm46v", "mistral3", "gemma4"])
def test_two_steps_train_eye_and_language_on_what_was_sampled(
    family: str, world: Path, tmp_path: Path, spread: str
) -> None:
    model = build_family(family, tmp_path)
    start, folder = load_file(model / "model.safetensors"), tmp_path / "rl"
    found = run(folder, stage(world, model=str(model), max_prompt_tokens=256, lr=1e-3), (spread,))
    assert [line["step"] for line in found] == [1, 2]
    assert all(line["actor/grad_norm"] > 0 for line in found)
    # The engine saw the pictures and ids that the rollout saw, and step 2 the weights of step 1.
    assert max(line["training/rollout_probs_diff_max"] for line in found) < 1e-4
    assert {one.state for one in records.read_outcomes(folder)} <= {"applied", "not needed"}
    replies = lines(folder / "rollouts/1.jsonl")
    assert len({row["output"] for row in replies}) > len(replies) // 2
    trained = load_file(folder / "checkpoints/global_step_2/actor/huggingface/model.safetensors")
    assert trained.keys() == start.keys()
    changed = {name for name, value in start.items() if not torch.equal(value, trained[name])}
    assert any("vision" in name or "visual" in name for name in changed)
    assert any("language_model" in name for name in changed)
