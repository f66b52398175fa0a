"""Which groups a step does not train on. Source: ours; dropping groups without signal as arXiv 2503.14476."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor


def dropped_groups(
    advantage: Tensor, all_correct: Tensor, draws: Sequence[float], *, epsilon: float, keep_all_correct: float
) -> Tensor:
    """Groups without signal, and all-correct ones that are not drawn.

    All-correct groups are pushed by modulators alone; kept in full they crowd out the rest once prompts saturate.
    Nothing is dropped where everything would be: a step must not be empty.

    Args:
        advantage: (groups, n), 0 where masked.
        all_correct: (groups,) bool.
        draws: a number in [0, 1) for each group, see :func:`draw`.
        epsilon: a group whose largest |advantage| is below it has no signal.
        keep_all_correct: probability that an all-correct group stays.

    Returns:
        (groups,) bool.
    """
    unlucky = torch.tensor(draws, dtype=torch.float64) >= keep_all_correct
    dropped = (advantage.abs().amax(dim=1) < epsilon) | (all_correct & unlucky)
    return dropped & ~dropped.all()


def draw(step: int, prompt: str) -> float:
    """A number in [0, 1) that only step and prompt decide, so that a resumed run drops the same groups."""
    digest = hashlib.blake2b(f"{step}/{prompt}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53
