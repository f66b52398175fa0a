"""LoRA in real verl: the base stays, the adapter learns, the next stage gets one merged model. ``pytest -m slow``."""

import json

import pytest
import torch
from real_verl import run, stage
from safetensors.torch import load_file

pytest.importorskip("transfer_queue")
pytest.importorskip("qwen_vl_utils")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_lora_freezes_the_base_and_hands_on_merged_weights(world, tmp_path, spread):
    from transformers import AutoModelForImageTextToText, AutoProcessor

    folder = tmp_path / "rl"
    verl = {"actor_rollout_ref": {"actor": {"use_kl_loss": True}}}
    metrics = run(folder, stage(world, lora={"rank": 4, "alpha": 8}, lr=1e-3, verl=verl), (spread,))
    assert [line["step"] for line in metrics] == [1, 2]
    assert all(line["actor/grad_norm"] > 0 for line in metrics)
    # The reference is the base with the adapter switched off: equal to the policy in step 1 and not in step 2.
    assert metrics[0]["actor/kl_loss"] == pytest.approx(0.0, abs=1e-6)
    assert metrics[1]["actor/kl_loss"] > 0
    # Rollouts of step 2 come from base and adapter merged; verl sends them in bfloat16.
    assert metrics[1]["training/rollout_probs_diff_mean"] < 2e-3

    start = load_file(world / "model" / "model.safetensors")
    shard = torch.load(folder / "checkpoints/global_step_2/actor/model_world_size_1_rank_0.pt", weights_only=False)
    trained = {name.removeprefix("base_model.model."): value for name, value in shard.items()}
    adapters = {name: value for name, value in trained.items() if "lora_" in name}
    assert any("lora_B" in name and bool(value.full_tensor().any()) for name, value in adapters.items())
    assert not any("visual" in name for name in adapters)
    for name in trained.keys() - adapters.keys() - {"lm_head.weight"}:  # tied to the embedding
        value = trained[name].full_tensor() if hasattr(trained[name], "full_tensor") else trained[name]
        assert torch.equal(value, start[name.replace(".base_layer.", ".")]), name

    merged, layer = load_file(folder / "model" / "model.safetensors"), "model.language_model.layers.0.self_attn.q_proj"
    up, down = (trained[f"{layer}.lora_{x}.default.weight"].full_tensor() for x in "BA")
    expected = start[f"{layer}.weight"] + 8 / 4 * (up.bfloat16().float() @ down.bfloat16().float())
    torch.testing.assert_close(merged[f"{layer}.weight"], expected, atol=1e-6, rtol=0)
    assert not torch.equal(merged[f"{layer}.weight"], start[f"{layer}.weight"])
    assert merged.keys() == start.keys()
    AutoProcessor.from_pretrained(folder / "model")
    _, loading = AutoModelForImageTextToText.from_pretrained(folder / "model", output_loading_info=True)
    assert not loading["missing_keys"] and not loading["unexpected_keys"]
    assert json.loads((folder / "loaded.json").read_text())["trainer"]["class"].endswith("MindGPTSyncTrainer")
