"""Image → topics: which label-tree leaves an image can be asked about (stage: the paper's; form: ours)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from mindgpt_data.focus.weights import NEUTRAL
from mindgpt_data.tree.model import Tree
from mindgpt_data.world.candidate import Candidate


def match(
    candidates: Sequence[Candidate],
    tree: Tree,
    counts: Mapping[str, int],
    limit: int = 3,
    least: int = 2,
    weights: Mapping[str, float] = NEUTRAL,
) -> list[str]:
    """Knowledge leaves of one image, best first.

    With exact truth the evidence is the teacher's own candidates: fit 3 when at least three of them speak of the leaf,
    else their number; leaves below ``least`` are left out, ties go to the leaf with the fewest items so far.

    Args:
        candidates: the teacher's, each with a knowledge leaf or None.
        tree: the knowledge tree; unknown leaves are an error.
        counts: items so far by leaf.
        limit: at most this many leaves.
        least: smallest fit kept.
        weights: of the leaves (a focus): items are counted in units of them.

    Raises:
        TreeError: a candidate names a leaf that the tree does not have.
    """
    evidence = Counter(c.knowledge for c in candidates if c.knowledge is not None)
    for leaf in evidence:
        tree.path(leaf)
    fits = [leaf for leaf, number in evidence.items() if min(3, number) >= least]
    return sorted(fits, key=lambda leaf: (-min(3, evidence[leaf]), (counts.get(leaf, 0) + 1) / weights[leaf], leaf))[
        :limit
    ]
