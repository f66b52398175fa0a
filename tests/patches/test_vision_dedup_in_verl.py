"""The model as verl's actor runs it: its own forward over a micro-batch of rollouts that share pictures."""

import json
import os
import subprocess
import sys

import pytest

from mindgpt_plugins.core.process import build_child_environment

pytestmark = pytest.mark.slow

SCRIPT = """
import json, torch
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration
from verl.models.transformers.monkey_patch import apply_monkey_patch
from mindgpt_patches import vision_dedup

rope = {"rope_type": "default", "rope_theta": 5e6, "mrope_section": [4, 2, 2], "mrope_interleaved": True}
text = dict(vocab_size=200, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, head_dim=16, max_position_embeddings=256, rope_parameters=rope)
vision = dict(depth=2, hidden_size=32, intermediate_size=64, num_heads=2, out_hidden_size=64, patch_size=16,
              num_position_embeddings=64, deepstack_visual_indexes=[0, 1])
torch.manual_seed(0)
model = Qwen3VLForConditionalGeneration(Qwen3VLConfig(text_config=text, vision_config=vision, image_token_id=199,
    video_token_id=198, vision_start_token_id=197, vision_end_token_id=196, tie_word_embeddings=False)).float().train()
apply_monkey_patch(model=model, use_remove_padding=False)

pictures = torch.randn(2, 16, 1536)
rollouts = [0, 0, 0, 1, 1, 1, 0, 1]  # eight replies to two prompts
ids = torch.randint(0, 190, (8, 20))
ids[:, 2:6] = 199  # four visual tokens of a 4 x 4 picture
inputs = dict(input_ids=ids, attention_mask=torch.ones_like(ids), pixel_values=pictures[rollouts].flatten(0, 1),
              image_grid_thw=torch.tensor([[1, 4, 4]] * 8), position_ids=torch.arange(20).expand(3, 8, 20))
encoded = []
model.model.visual.patch_embed.register_forward_hook(lambda module, args, out: encoded.append(len(out) // 16))

def run():
    model.zero_grad()
    log_p = model(**inputs).logits.log_softmax(-1)
    loss = -log_p[:, :-1].gather(2, ids[:, 1:, None])[:, 6:].mean()
    loss.backward()
    return loss.item(), [p.grad.clone() for p in model.parameters()]

want = run()
vision_dedup.apply()
got = run()
gradients = max(float((a - b).abs().max() / b.abs().max().clamp(min=1e-9)) for a, b in zip(got[1], want[1]))
print("FOUND" + json.dumps({"encoded": encoded, "loss": abs(got[0] / want[0] - 1), "gradients": gradients}))
"""


def test_encoder_calls_are_unique_pictures_and_the_loss_is_the_same():
    pytest.importorskip("verl")
    env = build_child_environment(cpu=True, offline=True, extra={})
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=os.environ | env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("FOUND")]
    found = json.loads(line[5:])
    assert found["encoded"] == [8, 2]
    assert found["loss"] <= 1e-6
    assert found["gradients"] <= 1e-4
