"""Label-tree nodes, and a loader that refuses trees with holes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from mindgpt_data.rows import SUB_SCORES
from mindgpt_plugins.recipe.base import Strict

DIMENSIONS = ("knowledge", "capability")


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
class Tree:
    """One dimension of the label tree."""

    dimension: str
    nodes: Mapping[str, Node]

    @property
    def leaves(self) -> list[str]:
        """Ids of the level-3 nodes, in file order."""
        return [node.id for node in self.nodes.values() if node.level == 3]

    def path(self, leaf: str) -> list[str]:
        """Ids from level 1 down to ``leaf``.

        Raises:
            TreeError: no such node.
        """
        if leaf not in self.nodes:
            raise TreeError(f"there is no {self.dimension} label {leaf!r}; leaves: {', '.join(self.leaves)}")
        node, found = self.nodes[leaf], [leaf]
        while node.parent is not None:
            node = self.nodes[node.parent]
            found.append(node.id)
        return found[::-1]

    def coverage(self, counts: Mapping[str, int]) -> dict[str, float]:
        """Share of leaves with an item, and normalised entropy H(n) / log |leaves| (0 with fewer than two leaves)."""
        values = [counts.get(leaf, 0) for leaf in self.leaves]
        total = sum(values)
        entropy = -sum(v / total * math.log(v / total) for v in values if v) if total else 0.0
        return {
            "leaves": len(values),
            "covered": sum(v > 0 for v in values) / len(values) if values else 0.0,
            "entropy": entropy / math.log(len(values)) if len(values) > 1 else 0.0,
        }


def load(dimension: str, path: Path | None = None) -> Tree:
    """Load a tree from ``path``, or the shipped one of ``dimension``.

    Raises:
        TreeError: unreadable, or see :func:`build`.
    """
    if dimension not in DIMENSIONS:
        raise TreeError(f"dimension {dimension!r} is not one of {', '.join(DIMENSIONS)}")
    where = str(path) if path else f"{dimension}.yaml"
    try:
        text = path.read_text() if path else resources.files("mindgpt_data.tree").joinpath(where).read_text()
        data = yaml.safe_load(text)
    except (OSError, yaml.YAMLError) as error:
        raise TreeError(f"label tree {where} cannot be read: {error}") from error
    if not isinstance(data, list):
        raise TreeError(f"label tree {where} must be a list of nodes, got {type(data).__name__}")
    return build(dimension, data, where)


def build(dimension: str, data: Iterable[Mapping[str, Any]], where: str = "label tree") -> Tree:
    """Validate nodes and make a tree.

    Raises:
        TreeError: unknown or missing keys, duplicate ids, orphans, cycles, wrong levels, leaves above level 3, more
            than three exemplars, or an unknown density dimension.
    """
    nodes: dict[str, Node] = {}
    for i, item in enumerate(data, 1):
        try:
            node = Node.model_validate(item)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "node"
            raise TreeError(f"{where}, node {i}: {place}: {first['msg']}") from None
        if node.id in nodes:
            raise TreeError(f"{where}: id {node.id!r} occurs twice; ids are unique in a dimension")
        nodes[node.id] = node
    for node in nodes.values():
        _check(node, nodes, where, dimension)
    parents = {node.parent for node in nodes.values()}
    for node in nodes.values():
        if node.level < 3 and node.id not in parents:
            raise TreeError(f"{where}: {node.id!r} is at level {node.level} and has no children; leaves are level 3")
    return Tree(dimension, nodes)


def _check(node: Node, nodes: Mapping[str, Node], where: str, dimension: str) -> None:
    seen, at = {node.id}, node
    while at.parent is not None:
        if at.parent not in nodes:
            raise TreeError(f"{where}: {at.id!r} has parent {at.parent!r}, which does not exist")
        at = nodes[at.parent]
        if at.id in seen:
            raise TreeError(f"{where}: {node.id!r} is its own ancestor (cycle through {at.id!r})")
        seen.add(at.id)
    want = 1 if node.parent is None else nodes[node.parent].level + 1
    if node.level != want or not 1 <= node.level <= 3:
        raise TreeError(f"{where}: {node.id!r} has level {node.level}; under its parent it must be {want} (1 to 3)")
    if len(node.exemplars) > 3:
        raise TreeError(f"{where}: {node.id!r} has {len(node.exemplars)} exemplars; at most 3")
    if node.density is not None and node.density not in SUB_SCORES:
        raise TreeError(f"{where}: {node.id!r} has density {node.density!r}; one of {', '.join(SUB_SCORES)}")
    if dimension == "capability" and node.level == 3 and node.density is None:
        raise TreeError(f"{where}: capability leaf {node.id!r} needs a density dimension ({', '.join(SUB_SCORES)})")
