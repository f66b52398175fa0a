"""Refuses label trees with holes: orphans, cycles, wrong levels, duplicates; says where the bad node stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import ValidationError

from mindgpt_data.schema.rows import SUB_SCORES
from mindgpt_data.tree.model import EXEMPLARS, LEVELS, Columns, Node, Tree, TreeError


def build_tree_from_nodes(dimension: str, placed: Sequence[tuple[str, Node]], *, whole: bool = True) -> Tree:
    """Make a tree of nodes, each with its place in a file for error messages; checks as in :func:`build_tree`."""
    nodes, rows = [node for _, node in placed], dict[str, int]()
    for row, (place, node) in enumerate(placed):
        if (first := rows.setdefault(node.id, row)) != row:
            before = "" if placed[first][0] == place else f" (before: {placed[first][0]})"
            raise TreeError(f"{place}: id {node.id!r} occurs twice{before}; ids are unique in a dimension")
    for place, node in placed:
        if node.parent is not None and node.parent not in rows:
            raise TreeError(f"{place}: {node.id!r} has parent {node.parent!r}, which does not exist")
        _check(dimension, node, place)
    columns = Columns(
        ids=[n.id for n in nodes],
        parents=np.array([-1 if n.parent is None else rows[n.parent] for n in nodes], np.int32),
        levels=np.array([n.level for n in nodes], np.int8),
        names=[n.name for n in nodes],
        definitions=[n.definition for n in nodes],
        exclusions=[n.exclusions for n in nodes],
        exemplars=[n.exemplars for n in nodes],
        densities=[n.density for n in nodes],
    )
    check_shape(columns, lambda row: placed[row][0], whole)
    _check_names(columns, lambda row: placed[row][0])
    return Tree(dimension, columns)


def check_shape(columns: Columns, place: Callable[[int], str], whole: bool) -> None:
    """Refuse cycles, wrong levels and, for a ``whole`` tree, inner nodes without children (fast at any size).

    Raises:
        TreeError: see above.
    """
    ids, parents, levels = columns.ids, columns.parents, columns.levels
    want = np.where(parents < 0, 1, levels[parents] + 1)
    bad = np.flatnonzero((levels != want) | (levels < 1) | (levels > LEVELS))
    if len(bad):  # a level is one more than the parent's: where that holds everywhere there can be no cycle
        for row in bad.tolist():
            _check_cycle(columns, row, place)
        row = int(bad[0])
        asked = f"under its parent it must be {want[row]} (1 to {LEVELS})"
        raise TreeError(f"{place(row)}: {ids[row]!r} has level {levels[row]}; {asked}")
    if not whole:
        return
    childless = np.ones(len(ids), bool)
    childless[parents[parents >= 0]] = False
    lonely = np.flatnonzero(childless & (levels < LEVELS))
    if len(lonely):
        row = int(lonely[0])
        raise TreeError(
            f"{place(row)}: {ids[row]!r} is at level {levels[row]} and has no children; leaves are level {LEVELS}: "
            "add some, or let a teacher write them with `mindgpt data tree expand`"
        )


def _check_cycle(columns: Columns, row: int, place: Callable[[int], str]) -> None:
    start, seen, at = place(row), {row}, int(columns.parents[row])
    while at >= 0:
        if at in seen:
            node, through = columns.ids[row], columns.ids[at]
            raise TreeError(f"{start}: {node!r} is its own ancestor (cycle through {through!r})")
        seen.add(at)
        at = int(columns.parents[at])


def _check_names(columns: Columns, place: Callable[[int], str]) -> None:
    seen: dict[tuple[int, str], int] = {}
    for row, parent in enumerate(columns.parents.tolist()):
        first = seen.setdefault((parent, columns.names[row].casefold()), row)
        if first != row:
            both = f"{columns.ids[first]!r} and {columns.ids[row]!r}"
            before = "" if place(first) == place(row) else f" (before: {place(first)})"
            raise TreeError(f"{place(row)}: siblings {both} have one name{before}; rename or merge them")


def make_node(item: Mapping[str, Any], place: str) -> Node:
    """Check one node's keys.

    Raises:
        TreeError: unknown or missing keys, or values of another type.
    """
    try:
        return Node.model_validate(item)
    except ValidationError as error:
        first = error.errors()[0]
        raise TreeError(f"{place}: {'.'.join(map(str, first['loc'])) or 'node'}: {first['msg']}") from None


def _check(dimension: str, node: Node, place: str) -> None:
    if len(node.exemplars) > EXEMPLARS:
        raise TreeError(f"{place}: {node.id!r} has {len(node.exemplars)} exemplars; at most {EXEMPLARS}")
    if node.density is not None and node.density not in SUB_SCORES:
        raise TreeError(f"{place}: {node.id!r} has density {node.density!r}; one of {', '.join(SUB_SCORES)}")
    if dimension == "capability" and node.level == LEVELS and node.density is None:
        raise TreeError(f"{place}: capability leaf {node.id!r} needs a density dimension ({', '.join(SUB_SCORES)})")


def build_tree(
    dimension: str, data: Iterable[Mapping[str, Any]], where: str = "label tree", *, whole: bool = True
) -> Tree:
    """Validate nodes and make a tree.

    Args:
        dimension: ``knowledge`` or ``capability``.
        data: keys as in :class:`Node`, parents before or after their children.
        where: for error messages.
        whole: see :func:`mindgpt_data.tree.files.load_tree`.

    Raises:
        TreeError: unknown or missing keys, duplicate ids, siblings of one name, orphans, cycles, wrong levels, leaves
            above level 3, more than three exemplars, or an unknown density dimension.
    """
    placed = ((f"{where}, node {i}", item) for i, item in enumerate(data, 1))
    return build_tree_from_nodes(dimension, [(where, make_node(item, place)) for place, item in placed], whole=whole)
