"""From intervals per branch to a weight per leaf, per picture and per capability family (ours).

A leaf's lower bound is shrunk towards its parent's, level by level from the top, where the bound is the target itself:
``low' = (n·low + prior·low'(parent)) / (n + prior)``. A leaf with no or few answers so takes its parent's bound, and
one whose parents were not asked about either stays neutral. Then
``w = min(max_weight, 1 + strength·max(0, target - low') / target)``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mindgpt_data.focus.branch_file import Branch, FocusError, check_branches, list_label_prefixes, read_branches
from mindgpt_data.schema.focus import FocusSettings
from mindgpt_data.schema.rows import SUB_SCORES

if TYPE_CHECKING:
    from mindgpt_data.schema.config import DataSettings
    from mindgpt_data.tree.model import Tree


class Weights(dict[str, float]):
    """Leaf → weight in [1, ``max_weight``], worked out when it is asked for: a tree may have a million leaves."""

    def __init__(self, branches: Iterable[Branch], settings: FocusSettings) -> None:
        super().__init__()
        self._branches = {branch.label: branch for branch in branches}
        self._settings = settings

    def __missing__(self, leaf: str) -> float:
        target = self._settings.target
        need = max(0.0, target - self.bound(leaf)) / target
        self[leaf] = weight = min(self._settings.max_weight, 1.0 + self._settings.strength * need)
        return weight

    def bound(self, label: str) -> float:
        """Lower bound of a label's accuracy, shrunk up the tree; the target where nothing is known."""
        bound, prior = self._settings.target, self._settings.prior
        for above in list_label_prefixes(label):
            branch = self._branches.get(above)
            if branch is not None and branch.n:
                bound = (branch.n * branch.low + prior * bound) / (branch.n + prior)
        return bound


class _Neutral(dict[str, float]):
    def __missing__(self, leaf: str) -> float:
        return 1.0


NEUTRAL: Mapping[str, float] = _Neutral()
"""Every leaf weighs 1: no focus."""


@dataclass(frozen=True)
class Focus:
    """What matching, budget and generation ask.

    Attributes:
        knowledge: knowledge leaf → weight.
        capability: capability leaf → weight.
        settings: where they come from.
        branches: what was read.
    """

    knowledge: Weights
    capability: Weights
    settings: FocusSettings
    branches: tuple[Branch, ...]

    def of(self, axis: str) -> Weights:
        """The weights of one dimension."""
        return self.axes[axis]

    @property
    def axes(self) -> dict[str, Weights]:
        """The weights by dimension."""
        return {"knowledge": self.knowledge, "capability": self.capability}

    def families(self, leaves: Mapping[str, Collection[str]]) -> dict[str, float]:
        """Density dimension → mean weight of its capability ``leaves``; 1 without any."""
        return {
            family: sum(map(self.capability.__getitem__, own)) / len(own) if own else 1.0
            for family, own in leaves.items()
        }

    def picture(self, topics: Collection[str], sub_scores: Mapping[str, float], families: Mapping[str, float]) -> float:
        """How many times its share of the budget one picture gets, before the total is met.

        Both axes together: the mean weight of its topics times the mean weight of its families, each as much as its
        sub-score; at most ``max_weight``.

        Args:
            topics: matched knowledge leaves.
            sub_scores: the four density dimensions.
            families: see :meth:`families`.
        """
        about = sum(map(self.knowledge.__getitem__, topics)) / len(topics) if topics else 1.0
        mass = sum(sub_scores[d] for d in SUB_SCORES)
        asks = sum(sub_scores[d] * families[d] for d in SUB_SCORES) / mass if mass else 1.0
        return min(self.settings.max_weight, about * asks)


def tilt_sub_scores(sub_scores: Mapping[str, float], families: Mapping[str, float]) -> dict[str, float]:
    """Sub-scores times the weights of their families: how a picture's questions are split."""
    return {d: sub_scores[d] * families[d] for d in SUB_SCORES}


def load_focus(settings: FocusSettings, trees: Mapping[str, Tree]) -> Focus | None:
    """Read the branch file of ``settings``; None when nothing is weak and the run shall go on without a focus.

    Args:
        settings: what to read, and what is weak.
        trees: the label trees of this run, by dimension.

    Raises:
        FocusError: the file cannot be used, or nothing is weak and ``nothing_weak`` is ``stop``.
    """
    path = Path(settings.file).expanduser()
    branches = read_branches(path, settings.set)
    check_branches(branches, trees, f"focus file {path}")
    made = {axis: Weights((b for b in branches if b.axis == axis), settings) for axis in ("knowledge", "capability")}
    focus = Focus(made["knowledge"], made["capability"], settings, tuple(branches))
    if any(focus.of(b.axis)[b.label] > 1 for b in branches if b.n):
        return focus
    if settings.nothing_weak == "continue":
        return None
    low = min((b for b in branches if b.n), key=lambda b: focus.of(b.axis).bound(b.label))
    raise FocusError(
        f"nothing is weak: every branch of {path} reaches the target {settings.target} (lowest: {low.axis} "
        f"{low.label!r}, {focus.of(low.axis).bound(low.label):.2f}). Raise focus.target, or go on without a focus: "
        "focus.nothing_weak=continue"
    )


def load_run_focus(settings: DataSettings) -> Focus | None:
    """The focus of a data run, or None without one; reads its label trees.

    Raises:
        FocusError: see :func:`load_focus`.
        TreeError: a label tree cannot be used.
    """
    if settings.focus is None:
        return None
    from mindgpt_data.tree.files import load_tree as tree

    named = {"knowledge": settings.tree.knowledge, "capability": settings.tree.capability}
    return load_focus(
        settings.focus, {axis: tree(axis, None if at == "builtin" else Path(at)) for axis, at in named.items()}
    )
