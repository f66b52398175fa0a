"""The peak of one training step: activations go while gradients come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Piece:
    """A part of the model in the order of the forward pass.

    Attributes:
        saved: bytes kept from forward to backward.
        working: bytes its backward pass needs at once beyond ``saved``.
        gradient: bytes of the gradients its backward pass leaves.
        vision: whether it belongs to the vision tower.
    """

    saved: float
    working: float
    gradient: float
    vision: bool = False


@dataclass(frozen=True)
class Peak:
    """The fullest moment of the step, in bytes beyond weights and optimizer states."""

    moment: str
    activations: float
    vision: float
    gradients: float
    loss: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.activations + self.vision + self.gradients + self.loss


def find_memory_peak(
    pieces: Sequence[Piece],
    head: Piece,
    loss: tuple[float, float, float],
    *,
    standing: float = 0.0,
    in_flight: float = 1.0,
    update: float = 0.0,
) -> Peak:
    """Walk through a step and keep the fullest moment.

    Args:
        pieces: from the first to the last layer.
        head: final norm and output projection.
        loss: bytes kept, forward peak and backward peak of the loss, see :func:`.activations.hf_loss`.
        standing: gradients that exist all the time (accumulated or sharded); pieces then leave none.
        in_flight: micro-batches whose activations this pipeline stage holds at once.
        update: extra bytes of the optimizer while it works on its largest weight.
    """
    kept, forward, backward = loss
    text = sum(piece.saved for piece in pieces if not piece.vision)
    vision = sum(piece.saved for piece in pieces if piece.vision)
    waiting, waiting_vision = (in_flight - 1) * (text + head.saved), (in_flight - 1) * vision
    text, vision = waiting + text, waiting_vision + vision
    done = standing + head.gradient
    moments = [
        Peak("loss", text + head.saved, vision, standing, max(forward, backward)),
        Peak("head", text + head.saved + head.working, vision, done, kept),
    ]
    for piece in reversed(pieces):
        done += piece.gradient
        if piece.vision:
            moments.append(Peak("vision", text, vision + piece.working, done, 0.0))
            vision -= piece.saved
        else:
            moments.append(Peak("backward", text + piece.working, vision, done, 0.0))
            text -= piece.saved
    moments.append(Peak("update", text + update, vision, done, 0.0))
    return max(moments, key=lambda moment: moment.total)
