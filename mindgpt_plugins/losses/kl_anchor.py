"""KL anchor: keeps the policy near a frozen reference on chosen sources while it learns elsewhere.

β·KL(π0 ‖ π) over the full vocabulary at target tokens, the reference seeing the same image (in the spirit of
MindGPT-4ov's capability restoration; the form is ours).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mindgpt_plugins.core.registry import hint_nearest
from mindgpt_plugins.curriculum.base import CurriculumError

if TYPE_CHECKING:
    from torch import Tensor


class KLAnchor:
    """Which sources are anchored, and how strongly.

    Args:
        names: all source names.
        sources: those that are anchored.
        beta: strength, > 0.

    Raises:
        CurriculumError: an unknown source or a strength that is not positive.
    """

    def __init__(self, names: Sequence[str], sources: Sequence[str], beta: float):
        for name in sources:
            if name not in names:
                raise CurriculumError(f"kl.sources: no examples come from {name!r}{hint_nearest(name, names)}")
        if not beta > 0:
            raise CurriculumError(f"kl.beta must be positive, got {beta}; leave out `kl` to have no anchor")
        self.betas = [beta if name in sources else 0.0 for name in names]
        """β of each source, 0 where it is not anchored."""


def compute_reference_kl(policy: Tensor, reference: Tensor) -> Tensor:
    """KL(reference ‖ policy) in nats for each row of two (tokens, vocabulary) float logits.

    The gradient reaches the policy only.
    """
    import torch.nn.functional as F

    log_policy = F.log_softmax(policy, -1)
    log_reference = F.log_softmax(reference.detach(), -1)
    return (log_reference.exp() * (log_reference - log_policy)).sum(-1)
