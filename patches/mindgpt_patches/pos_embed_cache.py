"""Computes where Qwen3-VL's position table is read once per picture size instead of once per picture and call.

Why: ``fast_pos_embed_interpolate`` (transformers 5.5) goes through Python lists of four numbers per patch for every
image, tens of milliseconds of host time for a large one; later releases vectorise it. Indices and weights depend on
height and width only. The arithmetic on the table is the original's, in its order: results are equal bit for bit.
On CPU that arithmetic takes the time and nothing is gained, so ``auto`` is off.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from mindgpt_patches.guard import Place, list_method_places, replace_places

KNOWN = {"4fc779c247b5": "transformers 5.5.4"}
CLASSES = {
    "transformers.models.qwen3_vl.modeling_qwen3_vl": "Qwen3VLVisionModel",
    "transformers.models.qwen3_vl_moe.modeling_qwen3_vl_moe": "Qwen3VLMoeVisionModel",
}
SIZES = 256
"""Picture sizes remembered; the longest unused one is forgotten."""


def places() -> list[Place]:
    """What is replaced."""
    return list_method_places(CLASSES, "fast_pos_embed_interpolate", KNOWN, _caching)


def apply() -> str:
    """Apply once, to the dense and the mixture-of-experts model.

    Returns:
        ``"applied"``.

    Raises:
        PatchRefused: an interpolation is not the one this was written for; nothing is changed.
    """
    replace_places(places())
    return "applied"


def certify() -> dict[str, float]:
    """Largest relative errors on a small vision tower, see :func:`mindgpt_patches.certificate.measure_errors`."""
    import torch
    from transformers.models.qwen3_vl import modeling_qwen3_vl as host
    from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLVisionConfig

    from mindgpt_patches.certificate import measure_errors

    small = Qwen3VLVisionConfig(depth=1, hidden_size=32, intermediate_size=32, num_heads=2, num_position_embeddings=64)

    def run() -> tuple[torch.Tensor, list[torch.Tensor]]:
        tower = host.Qwen3VLVisionModel._from_config(small)
        out = tower.fast_pos_embed_interpolate(torch.tensor([[1, 6, 4], [2, 12, 10], [1, 6, 4]]))
        return out.square().mean(), [tower.pos_embed.weight]

    return measure_errors(host.Qwen3VLVisionModel, "fast_pos_embed_interpolate", run)


def _caching(original: Any) -> Any:
    return lambda self, grid_thw: _interpolate(self, grid_thw)


def _interpolate(self: Any, grid_thw: Any) -> Any:
    """Position embeddings (patches, hidden) of pictures of (time, height, width) patches, in merged order."""
    import torch

    weight, merge = self.pos_embed.weight, self.config.spatial_merge_size
    grids = grid_thw.tolist()
    tables = [_table(self.num_grid_per_side, height, width) for _, height, width in grids]
    index = torch.cat([table[0] for table in tables], 1).to(weight.device)
    share = torch.cat([table[1] for table in tables], 1).to(weight.device, weight.dtype)
    corners = self.pos_embed(index) * share[:, :, None]
    pictures = (corners[0] + corners[1] + corners[2] + corners[3]).split([h * w for _, h, w in grids])
    merged = []
    for picture, (time, height, width) in zip(pictures, grids, strict=True):
        blocks = picture.repeat(time, 1).view(time, height // merge, merge, width // merge, merge, -1)
        merged.append(blocks.permute(0, 1, 3, 2, 4, 5).flatten(0, 4))
    return torch.cat(merged)


@lru_cache(maxsize=SIZES)
def _table(side: int, height: int, width: int) -> tuple[Any, Any]:
    """Rows of the table and their weights, both (4 corners, height · width)."""
    import torch

    ys, xs = torch.linspace(0, side - 1, height), torch.linspace(0, side - 1, width)
    y0, x0 = ys.int(), xs.int()
    y1, x1 = (y0 + 1).clip(max=side - 1), (x0 + 1).clip(max=side - 1)
    dy, dx = ys - y0, xs - x0
    index = [y[:, None] * side + x[None] for y, x in ((y0, x0), (y0, x1), (y1, x0), (y1, x1))]
    share = [b[:, None] * a[None] for b, a in ((1 - dy, 1 - dx), (1 - dy, dx), (dy, 1 - dx), (dy, dx))]
    return torch.stack(index).long().flatten(1), torch.stack(share).flatten(1)
