"""Train, dev and test: by a hash of the picture, so that sets share none and pictures added later move none."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mindgpt_data.schema.rows import Row

KINDS = ("group", "content", "row")
"""What names of ties begin with, before a colon."""


@dataclass
class Components:
    """Things that must stay together (union-find over names), and the splits that are fixed for some of them.

    Attributes:
        parent: name → another of its component; a representative points at itself.
        fixed: representative → splits fixed for its component; more than one is a contradiction.
    """

    parent: dict[str, str] = field(default_factory=dict)
    fixed: dict[str, set[str]] = field(default_factory=dict)

    def find(self, name: str) -> str:
        """The representative of ``name``'s component."""
        root = name
        while (up := self.parent.setdefault(root, root)) != root:
            root = up
        while (up := self.parent[name]) != root:
            self.parent[name], name = root, up
        return root

    def join(self, names: Iterable[str]) -> bool:
        """Put all of ``names`` into one component, unless two different splits are fixed for them.

        Its representative is a group before a picture before a row, then the smallest hash: what is added later to a
        group does not change it.

        Returns:
            Whether they are together now.
        """
        roots = sorted({self.find(name) for name in names}, key=lambda name: (_rank(name), _digest(name)))
        splits = set[str]().union(*(self.fixed.get(root, ()) for root in roots))
        if len(splits) > 1:
            return False
        for root in roots:
            self.parent[root] = roots[0]
        self.fixed[roots[0]] = splits
        return True


def assign_splits(
    rows: Iterable[Row],
    ties: Mapping[str, Sequence[str]],
    fixed: Iterable[tuple[str, str]],
    shares: Mapping[str, float],
    seed: int,
) -> tuple[dict[str, str], list[str]]:
    """Give every row its split.

    Rows that share a tie (a picture's content, its group) stay together, and so does whatever they share with others. A
    component for which the corpus fixes a split gets it; any other is placed by the hash of its representative alone.

    Args:
        rows: kept rows.
        ties: uid → names of what the row shows, ``group:…`` or ``content:…``.
        fixed: (tie, split) where the corpus fixes it.
        shares: ``dev`` and ``test`` → share of components in [0, 1]; the rest is ``train``.
        seed: another one, another split.

    Returns:
        uid → split, and the uids of rows that would tie pictures of different fixed splits: nowhere to put them.
    """
    parts = Components()
    for tie, split in fixed:
        parts.fixed.setdefault(parts.find(tie), set()).add(split)
    torn: list[str] = []
    placed: list[str] = []
    for row in rows:
        joined = parts.join([f"row:{row.uid}", *ties[row.uid]])
        (placed if joined else torn).append(row.uid)
    splits = {}
    for uid in placed:
        root = parts.find(f"row:{uid}")
        splits[uid] = next(iter(parts.fixed[root])) if parts.fixed[root] else _place(root, shares, seed)
    return splits, torn


def _place(name: str, shares: Mapping[str, float], seed: int) -> str:
    draw = int(_digest(f"{seed}/{name}")[:13], 16) / 16**13
    for split in ("test", "dev"):
        share = shares.get(split, 0.0)
        if draw < share:
            return split
        draw -= share
    return "train"


def _rank(name: str) -> int:
    return KINDS.index(name.partition(":")[0])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
