"""Which groups a step does not train on. Source: ours; dropping groups without signal as arXiv 2503.14476."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from mindgpt_plugins.advantage.config import GroupFilterConfig


def find_dropped_groups(
    config: GroupFilterConfig,
    advantage: Tensor,
    correct: Tensor,
    mask: Tensor,
    prompts: Sequence[tuple[int, str]],
    *,
    modulators: bool,
) -> Tensor:
    """Find the groups without signal, and the all-correct ones that are not drawn.

    All-correct groups are pushed by modulators alone; kept in full they crowd out the rest once prompts saturate.
    Nothing is dropped where everything would be: a step must not be empty.

    Args:
        config: what to drop.
        advantage: (groups, n), 0 where masked.
        correct: (groups, n) bool.
        mask: (groups, n) bool, true where a reply exists.
        prompts: step and prompt of each group, which decide its draw.
        modulators: does the recipe have any? Without them an all-correct group has no signal anyway, or is graded, and
            stays.

    Returns:
        (groups,) bool.
    """
    draws = torch.tensor([draw_number(step, prompt) for step, prompt in prompts], dtype=torch.float64)
    unlucky = draws >= (config.keep_all_correct if modulators else 1.0)
    all_correct = (correct | ~mask).all(dim=1)
    dropped = (advantage.abs().amax(dim=1) < config.epsilon) | (all_correct & unlucky)
    return dropped & ~dropped.all()


def draw_number(step: int, prompt: str) -> float:
    """Draw a number in [0, 1) that only step and prompt decide, so that a resumed run drops the same groups."""
    digest = hashlib.blake2b(f"{step}/{prompt}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53
