"""Real verl with tiny models of families that it does not know or cannot shard. ``pytest -m slow``, minutes each."""

from pathlib import Path

import pytest
import torch
from mindgpt_data.export import write_set
from mindgpt_data.schema.rows import Row
from mindgpt_patches import records
from real_verl import lines, run, stage
from safetensors.torch import load_file
from support.families import build_family

from mindgpt_plugins.families import load_processor

pytest.importorskip("transfer_queue")
pytest.importorskip("qwen_vl_utils")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
FAMILIES = (
    "gemma3", "glm46v", "internvl", "gemma4", "mistral3", "llava_onevision", "lfm2_vl", "idefics3", "llava_next",
    "qwen3_vl",
)  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_two_steps_train_eye_and_language_on_what_was_sampled(
    family: str, world: Path, tmp_path: Path, spread: str
) -> None:
    model = build_family(family, tmp_path)
    start, folder = load_file(model / "model.safetensors"), tmp_path / "rl"
    found = run(folder, stage(world, model=str(model), max_prompt_tokens=256, lr=1e-3), (spread,))
    assert [line["step"] for line in found] == [1, 2]
    assert all(line["actor/grad_norm"] > 0 for line in found)
    # The engine saw the pictures and ids that the rollout saw, and step 2 the weights of step 1. They are not equal: a
    # rollout cannot choose rows beyond the tokenizer, a tenth of these small vocabularies.
    assert min(line["training/rollout_actor_probs_pearson_corr"] for line in found) > 0.999
    assert {one.state for one in records.read_outcomes(folder)} <= {"applied", "not needed"}
    replies = lines(folder / "rollouts/1.jsonl")
    assert len({row["output"] for row in replies}) > len(replies) // 2
    saved = folder / "checkpoints/global_step_2/actor/huggingface"
    assert type(load_processor(str(saved))) is type(load_processor(str(model)))  # the next stage reads it
    trained = load_file(saved / "model.safetensors")
    assert trained.keys() == start.keys()
    changed = {name for name, value in start.items() if not torch.equal(value, trained[name])}
    assert any("vision" in name or "visual" in name for name in changed)
    assert any("language_model" in name for name in changed)


def test_a_text_model_trains_on_rows_without_pictures(tmp_path: Path, spread: str) -> None:
    rows = [
        Row(
            uid=f"r{i}", image=[], question=f"how many? {i}", answer=str(i), response=f"answer: {i}",
            answer_type="text", source="general", capability="perception.count", difficulty=i / 8,
        )
        for i in range(8)
    ]  # fmt: skip
    write_set(rows, tmp_path / "data", "train")
    model, folder = build_family("llama", tmp_path), tmp_path / "rl"
    found = run(folder, stage(tmp_path, model=str(model), lr=1e-3), (spread,))
    assert [line["step"] for line in found] == [1, 2] and all(line["actor/grad_norm"] > 0 for line in found)
    assert min(line["training/rollout_actor_probs_pearson_corr"] for line in found) > 0.999
