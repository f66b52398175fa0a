"""FLOPs of a model's passes over a sequence, from its exact weights: a multiplication and an addition are two.

Matrix products only; norms, activations, rotations and the embedding table are left out (under 1 % together, see the
test against ``torch.utils.flop_counter``). Attention of the language model is causal: half of the score matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mindgpt_plugins.core.files import read_json
from mindgpt_plugins.sizing import model as sizes
from mindgpt_plugins.sizing import weights
from mindgpt_plugins.sizing.gpus import Gpu
from mindgpt_plugins.sizing.model import Model


@dataclass(frozen=True)
class Sized:
    """A model with what its attention needs beside the planner's sizes.

    Attributes:
        model: sizes and exact weights.
        window: patches of an attention window of the vision tower; 0: none has windows.
        full: blocks of the tower that see the whole picture.
    """

    model: Model
    window: int
    full: int


@dataclass(frozen=True)
class Forward:
    """FLOPs of a forward pass, by what its backward pass is; ``pixels`` is the patch embedding."""

    linear: float = 0.0
    attention: float = 0.0
    head: float = 0.0
    pixels: float = 0.0
    vision: float = 0.0
    vision_attention: float = 0.0
    projector: float = 0.0
    adapter: float = 0.0

    @property
    def total(self) -> float:
        """All of it."""
        return float(sum(vars(self).values()))

    @property
    def language(self) -> float:
        """The language model's, which checkpointing computes again."""
        return self.linear + self.attention + self.adapter

    def times(self, factor: float) -> Forward:
        """As many passes."""
        return Forward(**{name: factor * value for name, value in vars(self).items()})

    def plus(self, other: Forward) -> Forward:
        """Both passes."""
        return Forward(**{name: value + getattr(other, name) for name, value in vars(self).items()})


@dataclass(frozen=True)
class Trained:
    """What learns.

    Attributes:
        text: all weights of the language model, or adapters.
        vision: the vision tower.
        projector: the projector behind it.
        rank: of the adapters.
    """

    text: Literal["full", "lora"] = "full"
    vision: bool = False
    projector: bool = False
    rank: int = 0


def read_sized_model(folder: Path) -> Sized:
    """Read a folder's config.json.

    Raises:
        mindgpt_plugins.sizing.model.ModelError: there is none, or its architecture is not known.
    """
    model = sizes.read_model_sizes(folder)
    file = folder / "config.json" if folder.is_dir() else folder
    raw = read_json(file).get("vision_config") or {}
    full, depth = raw.get("fullatt_block_indexes"), model.vision.depth if model.vision else 0
    if model.vision is None or full is None or not raw.get("window_size"):
        return Sized(model, 0, depth)
    return Sized(model, (raw["window_size"] // model.vision.patch) ** 2, len(full))


def count_forward_flops(
    sized: Sized, tokens: float, patches: Sequence[int] = (), *, rank: int = 0, causal: bool = True
) -> Forward:
    """One pass over one sequence.

    Args:
        sized: the model.
        tokens: of the sequence, vision tokens included.
        patches: of each of its pictures; windows are counted as full ones.
        rank: of LoRA adapters on the language model; 0: none.
        causal: count half the score matrix; plain torch multiplies all of it.
    """
    text, count = sized.model.text, weights.count_parameters_by_part(weights.list_model_weights(sized.model, rank))
    linear = float(sum(count.get(part, 0) for part in ("attention", "mlp", "router")))
    if text.experts is not None:
        linear += count["experts"] * text.experts.per_token / text.experts.count
    pairs = tokens * (tokens + 1) / 2 if causal else tokens**2
    found = Forward(
        linear=2 * tokens * linear,
        attention=4 * text.layers * text.heads * text.head_dim * pairs,
        head=2 * tokens * text.vocabulary * text.hidden,
        adapter=2 * tokens * count.get("adapter", 0),
    )
    vision = sized.model.vision
    if vision is None or not patches:
        return found
    seen = sum(patches)
    embedding = vision.channels * vision.temporal_patch * vision.patch**2 * vision.hidden
    whole = sum(n * n for n in patches)
    near = seen * sized.window
    return found.plus(
        Forward(
            pixels=2.0 * seen * embedding,
            vision=2.0 * seen * (count["vision"] - embedding - vision.positions * vision.hidden),
            vision_attention=4.0 * vision.hidden * (sized.full * whole + (vision.depth - sized.full) * near),
            projector=2.0 * seen / vision.merge**2 * count["projector"],
        )
    )


def count_backward_flops(passed: Forward, trained: Trained) -> float:
    """The backward pass: gradients of weights that learn, and of what lies between them and the loss.

    Weights that are frozen need one product instead of two; in front of the first weight that learns there is nothing.
    """
    weight = 1 if trained.text == "lora" else 2
    found = weight * (passed.linear + passed.head) + 2 * passed.attention + 2 * passed.adapter
    if trained.projector or trained.vision:
        found += (2 if trained.projector else 1) * passed.projector
    if trained.vision:
        found += passed.pixels + 2 * (passed.vision + passed.vision_attention)
    return found


BANDWIDTH = 0.6
"""Share of the peak memory bandwidth while decoding. An assumption, not measured."""
SEQUENCES = 256
"""Most sequences decoded at once on one server."""
ROOM = 0.6
"""Share of the GPU's memory for weights and cache while decoding, as in our RL recipes."""


@dataclass(frozen=True)
class Decoding:
    """Writing replies: GPU-seconds, GPUs of a server, replies it writes at once."""

    seconds: float
    gpus: int
    together: int


def estimate_decoding(
    sized: Sized, gpu: Gpu, mfu: float, *, replies: float, prompt: float, reply: float, waiting: float, gpus: int = 1
) -> Decoding:
    """Time to write replies, one token of each at a time.

    Each step reads all bfloat16 weights and the cached keys and values, or computes, whichever takes longer. A server
    has as many GPUs as leave half of the room for the cache.

    Args:
        sized: the model.
        gpu: peak figures.
        mfu: share of the peak in compute-bound parts.
        replies: of all.
        prompt: mean tokens of a prompt.
        reply: tokens of a reply.
        waiting: replies per GPU that are waited for together.
        gpus: of a server, at least.
    """
    text = sized.model.text
    size = 2.0 * weights.count_parameters(weights.list_model_weights(sized.model))
    while size > ROOM * gpu.memory * 1e9 * gpus / 2:
        gpus *= 2
    cache = 2 * 2 * text.layers * text.kv_heads * text.head_dim
    room = (ROOM * gpu.memory * 1e9 * gpus - size) // (cache * (prompt + reply))
    together = max(1, int(min(SEQUENCES, waiting * gpus, room)))
    moved = size + together * (prompt + reply / 2) * cache
    computed = together * 2.0 * weights.count_active_parameters(sized.model)
    step = max(moved / (BANDWIDTH * gpu.bandwidth * 1e12 * gpus), computed / (mfu * gpu.tflops * 1e12 * gpus))
    return Decoding(gpus * step * reply * replies / together, gpus, together)
