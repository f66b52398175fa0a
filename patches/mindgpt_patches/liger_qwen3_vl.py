"""Liger's kernels in Qwen3-VL, dense and mixture of experts, for LLaMA-Factory, which has no dispatch for them.

Why: LLaMA-Factory 0.9.5 warns that ``enable_liger_kernel`` does not support qwen3_vl and goes on without. Liger's own
patch (``use_liger_kernel``) covers RMSNorm and both rotary embeddings, but not the dense MLP's SwiGLU
(linkedin/Liger-Kernel#956) and not the vision tower's LayerNorm, and its fused loss has no weights per token: here
norms, rotary embeddings and SwiGLU are Liger's, the loss is ours. Experts stay transformers' own: Liger's kernel for
them tunes itself on a GPU and cannot run on CPU, so we could not check it. Parameters stay where they are.

Never run on a GPU by us: the same model was compared in Triton's interpreter, and each run compares a small one.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor

from mindgpt_patches import PatchRefused
from mindgpt_patches.guard import Place, replace_places, restore_places

PREFIXES = {
    "transformers.models.qwen3_vl.modeling_qwen3_vl": "Qwen3VL",
    "transformers.models.qwen3_vl_moe.modeling_qwen3_vl_moe": "Qwen3VLMoe",
}


def _known(*fingerprints: str) -> dict[str, str]:
    return dict.fromkeys(fingerprints, "transformers 5.5.4")


def places() -> Iterator[Place]:
    """Everything that is replaced, in both models."""
    for path, prefix in PREFIXES.items():
        host = importlib.import_module(path)
        of = {name: getattr(host, prefix + name) for name in ("TextRMSNorm", "TextMLP", "VisionBlock")}
        merger = getattr(host, f"{prefix}VisionPatchMerger")
        yield Place(of["TextRMSNorm"], "forward", _known("d676bfe9af0e"), _rms_norm)
        yield Place(of["TextMLP"], "forward", _known("b4e9c2637c7f"), _swiglu)
        yield Place(host, "apply_rotary_pos_emb", _known("e2975ea7060d"), _rotary)
        yield Place(host, "apply_rotary_pos_emb_vision", _known("961a1862d680"), _rotary_vision)
        yield Place(of["VisionBlock"], "__init__", _known("3856ea4d5b31", "4d307004bfc7"), _with_layer_norms)
        yield Place(merger, "__init__", _known("57b2bc6a67ec", "2a002c72ad7b"), _with_layer_norms)


def apply() -> str:
    """Apply once. Vision LayerNorms change in models that are built from then on, the rest in all.

    Returns:
        ``"applied: "`` and Liger's version, or ``"not needed: "`` and what is missing, a GPU or liger-kernel.

    Raises:
        PatchRefused: a function is not the one this was written for; nothing is changed.
    """
    if not torch.cuda.is_available() and not _interpreted():
        return "not needed: Liger's kernels need CUDA (or TRITON_INTERPRET=1, a slow check on CPU)"
    if importlib.util.find_spec("liger_kernel") is None:
        return "not needed: liger-kernel is not installed; install the extra gpu"
    replace_places(places())
    return f"applied: liger-kernel {version('liger-kernel')}"


def restore_host() -> None:
    """Put the host's functions back."""
    restore_places(places())


def replaced(model: torch.nn.Module) -> dict[str, int]:
    """How many modules of a model compute with Liger's kernels, by kind.

    Raises:
        PatchRefused: none, or another package has replaced the forward of one.
    """
    kinds: dict[type, str] = {LayerNorm: "vision LayerNorm"}
    for path, prefix in PREFIXES.items():
        host = importlib.import_module(path)
        for name, kind in (("TextRMSNorm", "RMSNorm"), ("TextMLP", "SwiGLU"), ("TextAttention", "RoPE")):
            kinds[getattr(host, prefix + name)] = kind
        kinds[getattr(host, f"{prefix}VisionAttention")] = "vision RoPE"
    found: Counter[str] = Counter()
    for name, module in model.named_modules():
        kind = next((kind for owner, kind in kinds.items() if isinstance(module, owner)), "")
        if not kind:
            continue
        if "forward" in vars(module) and kind not in ("RoPE", "vision RoPE"):
            raise PatchRefused(f"another package has replaced the forward of {name}; is use_liger_kernel set?")
        found[kind] += 1
    if not found:
        raise PatchRefused(f"{type(model).__name__} has no module of Qwen3-VL, so nothing would be replaced")
    return dict(sorted(found.items()))


def certify() -> dict[str, float]:
    """Largest relative errors of loss and gradients on a small Qwen3-VL, with and without Liger.

    Raises:
        PatchRefused: an error is too large or a kernel fails; the host's functions are back in place.
    """
    from mindgpt_patches.certificate import compare_gradients, compute_seeded_run

    patched = [(place, getattr(place.owner, place.name)) for place in places()]
    restore_host()
    try:
        with _own_gpu():
            want = compute_seeded_run(run_small_model)
            for place, mine in patched:
                setattr(place.owner, place.name, mine)
            return compare_gradients(compute_seeded_run(run_small_model), want)
    except Exception as error:  # whatever compiling a kernel on a new machine may raise
        restore_host()
        if isinstance(error, PatchRefused):
            raise
        raise PatchRefused(f"a kernel of Liger fails here: {type(error).__name__}: {error}") from error


def _own_gpu() -> contextlib.AbstractContextManager[Any]:
    """This rank's GPU: the trainer has not chosen it yet, and all ranks would meet on the first one."""
    if not torch.cuda.is_available():
        return contextlib.nullcontext()
    return torch.cuda.device(int(os.environ.get("LOCAL_RANK", "0")))


def run_small_model(experts: int = 0) -> tuple[Tensor, list[Tensor]]:
    """Loss of :func:`make_small_model` on two pictures with text, and its parameters; on the GPU if there is one."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = make_small_model(experts).to(device)
    tokens = torch.randint(0, 120, (2, 12))
    tokens[:, 1:7] = torch.tensor([125, *[127] * 4, 124])
    inputs = {"input_ids": tokens, "labels": tokens, "attention_mask": torch.ones_like(tokens)}
    inputs |= {"pixel_values": torch.randn(32, 3 * 2 * 4 * 4), "image_grid_thw": torch.tensor([[1, 4, 4]] * 2)}
    inputs["mm_token_type_ids"] = (tokens == 127).int()
    loss = model(**{name: value.to(device) for name, value in inputs.items()}).loss
    return loss, [p for p in model.parameters() if p.requires_grad]


def make_small_model(experts: int = 0) -> Any:
    """A random Qwen3-VL of two layers in float32; with ``experts``, the mixture of so many."""
    import transformers

    text = {"vocab_size": 128, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    text |= {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 64}
    if experts:
        text |= {"num_experts": experts, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 2, 2], "mrope_interleaved": True}
    vision: dict[str, Any] = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_heads": 2,
        "out_hidden_size": 32,
    }
    vision |= {"patch_size": 4, "num_position_embeddings": 64, "deepstack_visual_indexes": [0]}
    ids = {"image_token_id": 127, "video_token_id": 126, "vision_start_token_id": 125, "vision_end_token_id": 124}
    kind = "Qwen3VLMoe" if experts else "Qwen3VL"
    config = getattr(transformers, f"{kind}Config")(
        text_config=text | {"rope_parameters": rope}, vision_config=vision, **ids
    )
    config._attn_implementation = "sdpa"
    build = getattr(transformers, f"{kind}ForConditionalGeneration")._from_config
    return build(config, dtype=torch.float32).train()


class LayerNorm(torch.nn.LayerNorm):
    """torch's, by Liger's kernel where its input is on a GPU."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """As the host's."""
        if not _usable(hidden_states):
            return super().forward(hidden_states)
        from liger_kernel.ops import LigerLayerNormFunction

        out: Tensor = LigerLayerNormFunction.apply(hidden_states, self.weight, self.bias, self.eps)
        return out


def _interpreted() -> bool:
    return os.environ.get("TRITON_INTERPRET") == "1"


def _usable(tensor: Tensor) -> bool:
    return tensor.is_cuda or _interpreted()


def _rms_norm(original: Any) -> Any:
    from liger_kernel.ops import LigerRMSNormFunction

    def forward(self: Any, hidden_states: Tensor) -> Any:
        if not _usable(hidden_states):
            return original(self, hidden_states)
        options = (
            0.0,
            "llama",
            True,
            None,
        )  # offset, casting, gradient in place, row mode: as Liger's own for this model
        return LigerRMSNormFunction.apply(hidden_states, self.weight, self.variance_epsilon, *options)

    return forward


def _swiglu(original: Any) -> Any:
    from liger_kernel.ops import LigerSiLUMulFunction

    def forward(self: Any, x: Tensor) -> Any:
        if not _usable(x) or self.config.hidden_act not in ("silu", "swish"):
            return original(self, x)
        return self.down_proj(LigerSiLUMulFunction.apply(self.gate_proj(x), self.up_proj(x), 1.0, 1.0))

    return forward


def _rotary(original: Any) -> Any:
    from liger_kernel.transformers.rope import liger_rotary_pos_emb

    def rotate(q: Tensor, k: Tensor, cos: Tensor, sin: Tensor, unsqueeze_dim: int = 1) -> Any:
        if not _usable(q):
            return original(q, k, cos, sin, unsqueeze_dim)
        return liger_rotary_pos_emb(q, k, cos, sin, unsqueeze_dim=unsqueeze_dim)

    return rotate


def _rotary_vision(original: Any) -> Any:
    from liger_kernel.transformers.rope import liger_rotary_pos_emb_vision

    def rotate(q: Tensor, k: Tensor, cos: Tensor, sin: Tensor) -> Any:
        return (liger_rotary_pos_emb_vision if _usable(q) else original)(q, k, cos, sin)

    return rotate


def _with_layer_norms(original: Any) -> Any:
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        original(self, *args, **kwargs)
        for child in self.children():
            if type(child) is torch.nn.LayerNorm:
                child.__class__ = LayerNorm

    return __init__
