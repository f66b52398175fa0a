"""FLOPs against torch's own counter on small real models, and against published figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from mindgpt_plugins.sizing import flops as cost_flops  # noqa: E402
from mindgpt_plugins.sizing.flops import Trained, count_backward_flops, count_forward_flops  # noqa: E402
from mindgpt_plugins.sizing.gpus import GPUS, CostError, find_gpu  # noqa: E402

CONFIGS = Path(__file__).parents[1] / "parallel" / "configs"
TEXT = {
    "vocab_size": 640, "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 64,
}  # fmt: skip
VISION = {"hidden_size": 128, "intermediate_size": 256, "num_heads": 4, "depth": 4, "out_hidden_size": 256}
SPECIAL = {"image_token_id": 600, "video_token_id": 601, "vision_start_token_id": 602, "vision_end_token_id": 603}


def small(name: str, folder: Path) -> Any:
    """A small model of a known architecture, in float32 with plain attention, and its folder."""
    raw = json.loads((CONFIGS / f"{name}.json").read_text())
    text = raw.get("text_config", raw)
    text |= TEXT
    if "rope_scaling" in text:
        text["rope_scaling"]["mrope_section"] = [16, 8, 8]
    if "num_experts" in text:
        text |= {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 128}
    if "vision_config" in raw:
        raw["vision_config"] |= VISION
        raw |= SPECIAL
        for key, value in (("deepstack_visual_indexes", [0, 1, 2]), ("fullatt_block_indexes", [1, 3])):
            if key in raw["vision_config"]:
                raw["vision_config"][key] = value
    (folder / "config.json").write_text(json.dumps(raw))
    config = transformers.AutoConfig.from_pretrained(folder)
    auto = transformers.AutoModelForImageTextToText if "vision_config" in raw else transformers.AutoModelForCausalLM
    return auto.from_config(config, attn_implementation="eager", experts_implementation="eager")


def batch(model: Any, tokens: int) -> tuple[dict[str, Any], list[int]]:
    """One sequence, with a picture of 16 × 24 patches where the model sees."""
    config = model.config
    ids = torch.arange(tokens)[None] % 500
    if not hasattr(config, "vision_config"):
        return {"input_ids": ids, "labels": ids}, []
    vision = config.vision_config
    height, width = 16, 24
    ids[0, 4 : 4 + height * width // 4] = config.image_token_id
    pixels = 3 * vision.temporal_patch_size * vision.patch_size**2
    seen = {
        "pixel_values": torch.randn(height * width, pixels),
        "image_grid_thw": torch.tensor([[1, height, width]]),
        "mm_token_type_ids": (ids == config.image_token_id).int(),
    }
    return {"input_ids": ids, "labels": ids, **seen}, [height * width]


def counted(model: Any, inputs: dict[str, Any]) -> tuple[float, float]:
    """FLOPs of the forward and of the backward pass by torch's counter."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as first:
        loss = model(**inputs).loss
    with FlopCounterMode(display=False) as second:
        loss.backward()
    return first.get_total_flops(), second.get_total_flops()


@pytest.mark.parametrize("name", ["qwen3_vl_8b", "qwen3_vl_30b_a3b", "qwen2_5_vl_7b", "qwen3_8b", "qwen3_30b_a3b"])
@pytest.mark.parametrize("sees", [True, False], ids=["vision_trained", "vision_frozen"])
def test_as_torch_counts(name: str, sees: bool, tmp_path: Path) -> None:
    model = small(name, tmp_path)
    inputs, patches = batch(model, 256)
    for weight_name, weight in model.named_parameters():
        weight.requires_grad_(sees or "visual" not in weight_name)
    ahead, back = counted(model, inputs)
    passed = count_forward_flops(cost_flops.read_sized_model(tmp_path), 256, patches, causal=False)
    assert passed.total == pytest.approx(ahead, rel=0.02)
    found = count_backward_flops(passed, Trained(vision=sees, projector=sees))
    assert found == pytest.approx(back, rel=0.02)


def test_adapters_as_torch_counts(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    model = small("qwen3_vl_8b", tmp_path)
    wanted = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
    model = peft.get_peft_model(model, peft.LoraConfig(r=16, target_modules=wanted))
    model.enable_input_require_grads()
    inputs, patches = batch(model.base_model.model, 256)
    ahead, back = counted(model, inputs)
    passed = count_forward_flops(cost_flops.read_sized_model(tmp_path), 256, patches, rank=16, causal=False)
    assert passed.total == pytest.approx(ahead, rel=0.02)
    assert count_backward_flops(passed, Trained("lora", rank=16)) == pytest.approx(back, rel=0.03)


def test_six_times_the_weights_and_the_attention() -> None:
    """The usual rule for a text model: 6 · weights · tokens, and 6 · layers · width · tokens² for causal attention."""
    sized = cost_flops.read_sized_model(CONFIGS / "qwen3_8b.json")
    passed = count_forward_flops(sized, 4096)
    step = passed.total + count_backward_flops(passed, Trained())
    weights = 8.19e9 - 151936 * 4096
    assert step == pytest.approx(6 * weights * 4096 + 6 * 36 * 4096 * 4096**2, rel=0.01)


def test_a_mixture_meets_only_some_experts() -> None:
    dense, sparse = (
        cost_flops.read_sized_model(CONFIGS / f"{name}.json") for name in ("qwen3_vl_8b", "qwen3_vl_30b_a3b")
    )
    assert 0.35 < count_forward_flops(sparse, 1024).total / count_forward_flops(dense, 1024).total < 0.45


def test_decoding_reads_the_weights() -> None:
    sized, h100 = cost_flops.read_sized_model(CONFIGS / "qwen3_8b.json"), GPUS["h100"]

    def decoding(replies: float, waiting: float) -> cost_flops.Decoding:
        return cost_flops.estimate_decoding(sized, h100, 0.35, replies=replies, prompt=100, reply=1000, waiting=waiting)

    alone, together = decoding(1, 1), decoding(64, 64)
    assert alone.seconds == pytest.approx(1000 * 16.38e9 / (0.6 * 3.35e12), rel=0.02)
    assert alone.seconds < together.seconds < 3 * alone.seconds, "64 at once share the reading of the weights"
    assert together.together == 64
    large, small = cost_flops.read_sized_model(CONFIGS / "qwen3_vl_30b_a3b.json"), GPUS["4090"]
    assert cost_flops.estimate_decoding(large, small, 0.35, replies=9, prompt=9, reply=9, waiting=2).gpus == 16


def test_the_table_of_gpus() -> None:
    assert all(one.source and 100 < one.tflops < 3000 and one.bandwidth < 10 for one in GPUS.values())
    with pytest.raises(CostError, match="'h10': not in the table; did you mean 'h100'"):
        find_gpu("h10")
