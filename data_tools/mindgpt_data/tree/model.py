"""The label tree: nodes in columns, so that a million leaves are no burden."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mindgpt_plugins.core.registry import hint_nearest
from mindgpt_plugins.core.schema import Strict

DIMENSIONS = ("knowledge", "capability")
LEVELS = 3
NAMES_SEARCHED = 20_000
"""Labels compared with a misspelt one: more would take seconds."""
EXEMPLARS = 3
"""At most this many exemplars per node."""


class TreeError(ValueError):
    """A label tree is malformed; the message names the node and the fix."""


class Node(Strict):
    """One label.

    Attributes:
        id: unique in its dimension.
        level: 1, 2 or 3; a parent's level is one less.
        parent: id of the parent, None at level 1.
        name: short title.
        definition: what belongs here.
        exclusions: what does not, and where it goes instead.
        exemplars: at most three.
        density: for capability leaves, the density dimension whose share of the budget they get.
    """

    id: str
    level: int
    parent: str | None = None
    name: str
    definition: str
    exclusions: str = ""
    exemplars: tuple[str, ...] = ()
    density: str | None = None


@dataclass(frozen=True)
class Columns:
    """Nodes as columns in file order; the text columns may stay in Arrow until a node is read.

    Attributes:
        ids: unique ids.
        parents: int32 ``[n]``, row of the parent, -1 at level 1.
        levels: int8 ``[n]``, 1 to 3.
    """

    ids: Sequence[str]
    parents: NDArray[np.int32]
    levels: NDArray[np.int8]
    names: Sequence[str]
    definitions: Sequence[str]
    exclusions: Sequence[str]
    exemplars: Sequence[Sequence[str]]
    densities: Sequence[str | None]


class Tree:
    """One dimension of the label tree.

    Attributes:
        dimension: ``knowledge`` or ``capability``.
        columns: all nodes; their row numbers are what embeddings and counts are aligned with.
    """

    def __init__(self, dimension: str, columns: Columns) -> None:
        self.dimension = dimension
        self.columns = columns

    def __len__(self) -> int:
        return len(self.columns.ids)

    @property
    def nodes(self) -> Mapping[str, Node]:
        """Id → node, in file order; nodes are made when they are read."""
        return _Nodes(self)

    @cached_property
    def row_of(self) -> Mapping[str, int]:
        """Id → row."""
        return {node: row for row, node in enumerate(self.columns.ids)}

    @cached_property
    def leaf_rows(self) -> NDArray[np.int64]:
        """Rows of the level-3 nodes, in file order."""
        return np.flatnonzero(self.columns.levels == LEVELS)

    @cached_property
    def leaves(self) -> list[str]:
        """Ids of the level-3 nodes, in file order."""
        ids = self.columns.ids
        return [ids[row] for row in self.leaf_rows.tolist()]

    @property
    def roots(self) -> list[str]:
        """Ids of the level-1 nodes, in file order."""
        return [self.columns.ids[row] for row in np.flatnonzero(self.columns.parents < 0).tolist()]

    def children(self, node: str) -> list[str]:
        """Ids of the nodes directly under ``node``, in file order.

        Raises:
            TreeError: no such node.
        """
        return [self.columns.ids[row] for row in self.child_rows(self.row(node)).tolist()]

    def child_rows(self, row: int) -> NDArray[np.int64]:
        """Rows directly under ``row`` (-1 for level 1), in file order."""
        order, starts = self._by_parent
        found: NDArray[np.int64] = order[starts[row + 1] : starts[row + 2]]
        return found

    @cached_property
    def _by_parent(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        order = np.argsort(self.columns.parents, kind="stable")
        starts = np.searchsorted(self.columns.parents[order], np.arange(-1, len(self) + 1))
        return order, starts

    def row(self, node: str) -> int:
        """Row of a node.

        Raises:
            TreeError: no such node.
        """
        if node not in self.row_of:
            close = hint_nearest(node, self.columns.ids[:NAMES_SEARCHED])
            shown = ", ".join(self.leaves[:8]) + (" …" if len(self.leaf_rows) > 8 else "")
            raise TreeError(f"there is no {self.dimension} label {node!r}{close}; leaves: {shown}")
        return self.row_of[node]

    def path(self, leaf: str) -> list[str]:
        """Ids from level 1 down to ``leaf``.

        Raises:
            TreeError: no such node.
        """
        row, found = self.row(leaf), []
        while row >= 0:
            found.append(self.columns.ids[row])
            row = int(self.columns.parents[row])
        return found[::-1]

    def texts(self, rows: Iterable[int]) -> list[str]:
        """``name: definition`` of each row (the name alone without a definition): what is embedded for matching."""
        names, definitions = self.columns.names, self.columns.definitions
        return [format_label_text(names[row], definitions[row]) for row in rows]

    def coverage(self, counts: Mapping[str, int]) -> dict[str, float]:
        """Share of leaves with an item, and normalised entropy H(n) / log |leaves| (0 with fewer than two leaves)."""
        leaves = len(self.leaf_rows)
        values = [value for leaf in self.leaves if (value := counts.get(leaf, 0))]
        total = sum(values)
        entropy = -sum(v / total * math.log(v / total) for v in values) if total else 0.0
        return {
            "leaves": leaves,
            "covered": len(values) / leaves if leaves else 0.0,
            "entropy": entropy / math.log(leaves) if leaves > 1 else 0.0,
        }


def format_label_text(name: str, definition: str) -> str:
    """What is embedded of a label."""
    return f"{name}: {definition}" if definition else name


class _Nodes(Mapping[str, Node]):
    """The nodes of a tree as a mapping."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def __getitem__(self, node: str) -> Node:
        row, columns = self._tree.row_of[node], self._tree.columns
        parent = int(columns.parents[row])
        return Node.model_construct(
            id=node,
            level=int(columns.levels[row]),
            parent=columns.ids[parent] if parent >= 0 else None,
            name=columns.names[row],
            definition=columns.definitions[row],
            exclusions=columns.exclusions[row],
            exemplars=tuple(columns.exemplars[row]),
            density=columns.densities[row],
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._tree.columns.ids)

    def __len__(self) -> int:
        return len(self._tree)
