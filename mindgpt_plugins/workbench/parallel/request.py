"""What a plan is asked for, and what makes no sense to ask."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from mindgpt_plugins.sizing.model import Model, Vision
from mindgpt_plugins.workbench.parallel.layouts import Trainer

Stage = Literal["sft", "rl"]
Recompute = Literal["none", "selective", "full"]
TRAINERS: dict[Stage, tuple[Trainer, ...]] = {
    "sft": ("llamafactory", "verl-fsdp2", "verl-megatron"),
    "rl": ("verl-fsdp2", "verl-megatron"),
}
GIB = 2**30


class RequestError(ValueError):
    """A question that has no answer; names the option and the bound it breaks."""


@dataclass(frozen=True)
class ParallelRequest:
    """The question.

    Attributes:
        gpus: all of them.
        gpu_mem: GiB of each.
        seq: tokens of one sequence, vision tokens included.
        images: patches (height, width) of the images in one sequence.
        stage: ``sft`` or ``rl``.
        trainers: which may run it.
        recompute: what the backward pass computes again; None: each trainer's strongest mode.
        lora: rank of the adapters; 0 trains all weights.
        global_batch: sequences per optimizer step; None: eight per GPU, and no rule on it.
        micro_batch: sequences per forward pass.
        train_vision: train the vision tower too; None: as each trainer does by default.
        fused_loss: logits are never all in memory (linear cross-entropy).
        response: tokens of a reply, for the rollout's cache in ``rl``.
        node: GPUs of one machine.
    """

    gpus: int
    gpu_mem: float = 80
    seq: int = 8192
    images: tuple[tuple[int, int], ...] = ()
    stage: Stage = "sft"
    trainers: tuple[Trainer, ...] = TRAINERS["sft"]
    recompute: Recompute | None = None
    lora: int = 0
    global_batch: int | None = None
    micro_batch: int = 1
    train_vision: bool | None = None
    fused_loss: bool = False
    node: int = 8

    @property
    def batch(self) -> int:
        """Sequences per optimizer step."""
        return self.global_batch or 8 * self.gpus * self.micro_batch

    @property
    def patches(self) -> int:
        """Vision patches of one sequence."""
        return sum(height * width for height, width in self.images)

    def mode(self, trainer: Trainer) -> Recompute:
        """What is computed again under a trainer."""
        return self.recompute or "full"

    def vision_trained(self, trainer: Trainer) -> bool:
        """Whether the vision tower learns: LLaMA-Factory freezes it unless told, verl trains it; LoRA leaves it."""
        if self.lora:
            return False
        return trainer != "llamafactory" if self.train_vision is None else self.train_vision


def check_parallel_request(request: ParallelRequest, model: Model) -> None:
    """Refuse what no layout could answer.

    Raises:
        RequestError: says which option, its value and its bound.
    """
    if request.gpus < 1:
        raise RequestError(f"--gpus {request.gpus}: at least one")
    if request.gpus > request.node and request.gpus % request.node:
        raise RequestError(
            f"--gpus {request.gpus}: more than one node of {request.node}, but not whole nodes; "
            f"{request.gpus // request.node * request.node} are (--gpus-per-node changes the size of a node)"
        )
    if request.gpu_mem <= 0:
        raise RequestError(f"--gpu-mem {request.gpu_mem:g}: GiB per GPU, above 0")
    if not 1 <= request.seq <= model.text.positions:
        raise RequestError(
            f"--seq {request.seq}: {model.name} has positions for 1 to {model.text.positions} tokens "
            "(max_position_embeddings)"
        )
    if request.micro_batch < 1 or (request.global_batch is not None and request.global_batch < 1):
        raise RequestError("--micro-batch and --global-batch: sequences, at least 1")
    if request.lora < 0:
        raise RequestError(f"--lora {request.lora}: the rank of the adapters, 0 for none")
    if not request.images:
        return
    if model.vision is None:
        raise RequestError(f"--images: {model.name} ({model.architecture}) has no vision part; leave the option out")
    tokens = request.patches // model.vision.merge**2
    if tokens >= request.seq:
        raise RequestError(
            f"--images: {tokens} vision tokens leave no room for text in --seq {request.seq}; fewer or smaller images"
        )


def parse_image_sizes(given: list[str], vision: Vision | None) -> tuple[tuple[int, int], ...]:
    """Read ``[COUNTx]WIDTHxHEIGHT`` in pixels into patches, rounded to whole merged patches as the processors do.

    Raises:
        RequestError: not of that form.
    """
    found: list[tuple[int, int]] = []
    for one in given:
        match = re.fullmatch(r"(?:(\d+)x)?(\d+)x(\d+)", one.lower().replace("×", "x"))
        count, width, height = (int(part or 1) for part in match.groups()) if match else (0, 0, 0)
        if not (count and width and height):
            raise RequestError(f"--images {one!r}: [COUNTx]WIDTHxHEIGHT in pixels, e.g. 4x1024x768")
        if vision is None:
            found += [(1, 1)] * count
            continue
        unit = vision.patch * vision.merge
        found += [tuple(max(1, round(side / unit)) * vision.merge for side in (height, width))] * count  # type: ignore[list-item]
    return tuple(found)
