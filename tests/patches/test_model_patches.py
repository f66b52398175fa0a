"""Patches of Qwen3-VL's vision tower: same numbers, equal pictures encoded once."""

import pytest
import torch
from mindgpt_patches import patch_embed_linear, pos_embed_cache, vision_dedup
from mindgpt_patches.guard import restore_places
from transformers.models.qwen3_vl import Qwen3VLConfig
from transformers.models.qwen3_vl import modeling_qwen3_vl as dense

VISION = dict(
    depth=1,
    hidden_size=32,
    intermediate_size=48,
    num_heads=2,
    out_hidden_size=16,
    num_position_embeddings=64,
    deepstack_visual_indexes=[0],
    patch_size=8,
    temporal_patch_size=2,
    spatial_merge_size=2,
)
PATCHES = patch_embed_linear, pos_embed_cache, vision_dedup


@pytest.fixture(autouse=True)
def host_left_as_found():
    yield
    for patch in PATCHES:
        restore_places(patch.places())


@pytest.fixture(scope="module")
def tower():
    torch.manual_seed(0)
    return dense.Qwen3VLVisionModel._from_config(Qwen3VLConfig(vision_config=VISION).vision_config)


def test_patch_embedding_gives_the_same_numbers_and_gradients(tower):
    embed = tower.patch_embed
    patches = torch.randn(24, 3 * 2 * 8 * 8)

    def run():
        out = embed(patches)
        return out, torch.autograd.grad(out.square().sum(), [*embed.parameters()])

    want, want_slopes = run()
    patch_embed_linear.apply()
    got, slopes = run()
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)
    for a, b in zip(slopes, want_slopes, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_an_adapter_in_the_patch_embedding_keeps_acting(tower, monkeypatch):
    class Adapted(torch.nn.Conv3d):
        def forward(self, x):
            return super().forward(x) + 1

    patch_embed_linear.apply()
    embed = tower.patch_embed
    patches = torch.randn(8, 3 * 2 * 8 * 8)
    plain = embed(patches)
    adapted = Adapted(3, 32, (2, 8, 8), stride=(2, 8, 8))
    adapted.load_state_dict(embed.proj.state_dict())
    monkeypatch.setitem(embed._modules, "proj", adapted)
    torch.testing.assert_close(embed(patches), plain + 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("grids", [[[1, 4, 6]], [[3, 6, 2], [1, 8, 8], [3, 6, 2]], [[1, 2, 2]]])
def test_position_embeddings_are_equal_bit_for_bit(tower, grids, dtype):
    model, grid = tower.to(dtype), torch.tensor(grids)
    table = model.pos_embed.weight

    def run():
        out = model.fast_pos_embed_interpolate(grid)
        return out, torch.autograd.grad(out.float().square().sum(), table)[0]

    want, want_slope = run()
    pos_embed_cache.apply()
    for _ in range(2):  # the second time from memory
        got, slope = run()
        assert torch.equal(got, want) and torch.equal(slope, want_slope)
    tower.float()


def test_certificates():
    for patch in PATCHES:
        patch.apply()
        assert max(patch.certify().values()) < 1e-5


@pytest.mark.parametrize("frozen", [True, False])
def test_equal_pictures_are_encoded_once_for_the_same_loss(tower, frozen):
    torch.manual_seed(1)
    one, other, longer = torch.randn(16, 384), torch.randn(16, 384), torch.randn(32, 384)
    order = [(one, [1, 4, 4]), (other, [1, 4, 4]), (one, [1, 4, 4]), (longer, [2, 4, 4]), (one, [1, 2, 8])]
    pixels, grid = torch.cat([picture for picture, _ in order]), torch.tensor([size for _, size in order])
    tower.requires_grad_(not frozen)
    mixer = torch.randn(24, 16).requires_grad_()
    encoded = []
    hook = tower.patch_embed.register_forward_hook(lambda module, args, out: encoded.append(len(out)))

    def run():
        out = tower(pixels, grid)
        loss = (out.pooler_output * mixer).square().mean() + (out.deepstack_features[0] * mixer).square().mean()
        wanted = [mixer, *(p for p in tower.parameters() if p.requires_grad)]
        return loss, out.last_hidden_state, torch.autograd.grad(loss, wanted)

    want = run()
    vision_dedup.apply()
    got = run()
    hook.remove()
    tower.requires_grad_(True)
    assert encoded == [96, 80]  # the third picture is the first; the last has its numbers but another shape
    assert abs(got[0] - want[0]) <= 1e-6 * abs(want[0])
    torch.testing.assert_close(got[1], want[1], rtol=1e-5, atol=1e-6)
    for a, b in zip(got[2], want[2], strict=True):
        assert (a - b).abs().max() <= 1e-5 * b.abs().max().clamp(min=1e-6)
