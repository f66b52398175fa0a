"""Encodes a picture that occurs several times in a micro-batch once.

Why: verl's actor and reference see a prompt's picture once per rollout, and preference training once per reply; the
hosts concatenate all copies (``verl/utils/model.py``) and the vision tower encodes each. Here equal pictures, compared
number by number, are encoded once and their features handed to every place; gradients add up as they would have. It
acts as far as copies meet in one micro-batch. The tower has no dropout, so copies are equal without it too.
"""

from __future__ import annotations

from typing import Any

from mindgpt_patches.guard import Place, list_method_places, replace_places

KNOWN = {"b1e5d7deae22": "transformers 5.5.4"}
CLASSES = {
    "transformers.models.qwen3_vl.modeling_qwen3_vl": "Qwen3VLVisionModel",
    "transformers.models.qwen3_vl_moe.modeling_qwen3_vl_moe": "Qwen3VLMoeVisionModel",
}


def places() -> list[Place]:
    """What is replaced."""
    return list_method_places(CLASSES, "forward", KNOWN, _deduplicating)


def apply() -> str:
    """Apply once, to the dense and the mixture-of-experts model.

    Returns:
        ``"applied"``.

    Raises:
        PatchRefused: a tower's forward is not the one this was written for; nothing is changed.
    """
    replace_places(places())
    return "applied"


def certify() -> dict[str, float]:
    """Largest relative errors on a small tower, see :func:`mindgpt_patches.certificate.measure_errors`."""
    import torch
    from transformers.models.qwen3_vl import modeling_qwen3_vl as host
    from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLVisionConfig

    from mindgpt_patches.certificate import measure_errors

    small = Qwen3VLVisionConfig(
        depth=1,
        hidden_size=32,
        intermediate_size=32,
        num_heads=2,
        out_hidden_size=16,
        num_position_embeddings=64,
        deepstack_visual_indexes=[0],
    )

    def run() -> tuple[torch.Tensor, list[torch.Tensor]]:
        tower = host.Qwen3VLVisionModel._from_config(small)
        one, other = torch.randn(16, 1536), torch.randn(8, 1536)
        out = tower(torch.cat([one, other, one]), torch.tensor([[1, 4, 4], [1, 2, 4], [1, 4, 4]]))
        return out.pooler_output.square().mean() + out.deepstack_features[0].square().mean(), list(tower.parameters())

    return measure_errors(host.Qwen3VLVisionModel, "forward", run)


def _deduplicating(original: Any) -> Any:
    def forward(self: Any, hidden_states: Any, grid_thw: Any, **kwargs: Any) -> Any:
        more = kwargs.get("output_hidden_states") or kwargs.get("output_attentions")
        sizes = grid_thw.prod(1).tolist()
        pictures = hidden_states.split(sizes)
        first, place = _distinct(pictures, grid_thw.tolist())
        if len(first) == len(sizes) or more or kwargs.get("return_dict") is False:
            return original(self, hidden_states, grid_thw, **kwargs)
        out = original(self, _joined([pictures[i] for i in first]), grid_thw[first], **kwargs)
        patches = [sizes[i] for i in first]
        tokens = [size // self.config.spatial_merge_size**2 for size in patches]
        out.last_hidden_state = _copies(out.last_hidden_state, patches, place)
        out.pooler_output = _copies(out.pooler_output, tokens, place)
        out.deepstack_features = [_copies(level, tokens, place) for level in out.deepstack_features]
        return out

    return forward


def _distinct(pictures: Any, grids: list[list[int]]) -> tuple[list[int], list[int]]:
    """Position of the first copy of each distinct picture, and for each picture which distinct one it is."""
    import torch

    # One transfer for all pictures; only those with equal sums are compared whole.
    sums = torch.stack([picture.double().sum() for picture in pictures]).tolist()
    seen: dict[tuple[Any, ...], list[int]] = {}
    first: list[int] = []
    place: list[int] = []
    for i, picture in enumerate(pictures):
        same = seen.setdefault((sums[i], *grids[i]), [])
        known = next((j for j in same if torch.equal(pictures[first[j]], picture)), None)
        if known is None:
            known = len(first)
            first.append(i)
            same.append(known)
        place.append(known)
    return first, place


def _copies(features: Any, sizes: list[int], place: list[int]) -> Any:
    parts = features.split(sizes)
    return _joined([parts[j] for j in place])


def _joined(parts: list[Any]) -> Any:
    import torch

    return torch.cat(parts)
