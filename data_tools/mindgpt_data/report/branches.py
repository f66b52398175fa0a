"""Coverage, acceptance and shortage of every label, summed up the tree."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from mindgpt_data.report.load import ReportInputs
from mindgpt_data.tree.model import LEVELS, Tree

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WEAKEST = 60
"""Topics and branches in the tables."""
LISTED = 50_000
"""Leaves of a larger tree are listed only when something is known of them."""
TOPICS, COVERED, PICTURES, GENERATED, KEPT = range(5)


def collect_tree_figures(corpus: ReportInputs, dimension: str) -> dict[str, Any]:
    """One dimension's tree with its counts.

    ``short`` is how many kept items a label lacks to an even share: kept items of the dimension × its share of the
    leaves − its own kept items (negative: it has more than its share).

    Returns:
        ``nodes``: parents first, each ``[name, parent index or -1, leaves, covered leaves, pictures, generated, kept]``
        (pictures: matched ones, each counted once per label; knowledge only); ``unlisted``: leaves left out of it;
        ``definitions`` of the branches by index; ``coverage`` (leaves, covered, entropy); ``unknown``: labels of rows
        that the tree lacks; ``thin``: level-2 branches and ``weakest``: leaves that were tried, most in need first;
        ``tried``: how many; ``pictureless``: knowledge leaves that no picture matched.
    """
    import numpy as np

    tree = corpus.trees[dimension]
    columns = tree.columns
    made = corpus.candidates.by[dimension] if corpus.candidates else Counter[str]()
    kept = corpus.kept.by[dimension] if corpus.kept else Counter[str]()
    counts = _counts(corpus, tree, made, kept, dimension)
    total, leaves = int(counts[columns.parents < 0, KEPT].sum()), len(tree.leaf_rows)
    short = total * counts[:, TOPICS] / max(1, leaves) - counts[:, KEPT]

    def entry(row: int) -> dict[str, Any]:
        topics, covered, pictures, generated, accepted = counts[row].tolist()
        return {
            "label": columns.ids[row],
            "path": [columns.names[tree.row(label)] for label in tree.path(columns.ids[row])],
            "topics": topics,
            "covered": covered,
            "pictures": pictures,
            "generated": generated,
            "kept": accepted,
            "acceptance": accepted / generated if generated else None,
            "short": round(float(short[row]), 3),
        }

    middle = np.flatnonzero(columns.levels == 2).tolist()
    thin = sorted(middle, key=lambda row: (-short[row], columns.ids[row]))[:WEAKEST]
    # A topic that has pictures but no items can be mended here; one without pictures needs more pictures.
    tried = [row for row in tree.leaf_rows.tolist() if counts[row, PICTURES] or counts[row, GENERATED]]
    weakest = sorted(
        tried, key=lambda r: (counts[r, KEPT], -counts[r, PICTURES], -counts[r, GENERATED], columns.ids[r])
    )
    nodes, definitions = _listed(tree, counts)
    matched = dimension == "knowledge" and corpus.matches is not None
    return {
        "nodes": nodes,
        "unlisted": len(tree) - len(nodes),
        "definitions": definitions,
        "coverage": tree.coverage(kept),
        "unknown": {label: n for label, n in sorted((made | kept).items()) if label not in tree.row_of},
        "thin": [entry(row) for row in thin],
        "weakest": [entry(row) for row in weakest[:WEAKEST]],
        "tried": len(tried),
        "pictureless": int((counts[tree.leaf_rows, PICTURES] == 0).sum()) if matched else None,
    }


def _counts(
    corpus: ReportInputs, tree: Tree, made: Counter[str], kept: Counter[str], dimension: str
) -> NDArray[np.int64]:
    """Counts ``[nodes, 5]``; those of a branch cover everything below it."""
    import numpy as np

    counts = np.zeros((len(tree), 5), dtype=np.int64)
    counts[tree.leaf_rows, TOPICS] = 1
    for column, found in ((GENERATED, made), (KEPT, kept)):
        for label, n in found.items():
            if label in tree.row_of:
                counts[tree.row_of[label], column] = n
    counts[tree.leaf_rows, COVERED] = counts[tree.leaf_rows, KEPT] > 0
    parents, levels = tree.columns.parents, tree.columns.levels
    for level in range(LEVELS, 1, -1):
        below = np.flatnonzero(levels == level)
        np.add.at(counts, parents[below], counts[below])
    if dimension == "knowledge":  # not a sum: a picture with two topics of a branch is one picture
        for topics in (corpus.matches or {}).values():
            known = [topic["leaf"] for topic in topics if topic["leaf"] in tree.row_of]
            counts[sorted({tree.row_of[label] for leaf in known for label in tree.path(leaf)}), PICTURES] += 1
    return counts


def _listed(tree: Tree, counts: NDArray[np.int64]) -> tuple[list[list[Any]], dict[str, str]]:
    """Nodes with parents first, and the branches' definitions."""
    import numpy as np

    columns = tree.columns
    shown = np.ones(len(tree), dtype=bool)
    if len(tree.leaf_rows) > LISTED:
        shown = (columns.levels < LEVELS) | counts[:, PICTURES:].any(axis=1)
    order = [row for row in np.argsort(columns.levels, kind="stable").tolist() if shown[row]]
    index = {row: i for i, row in enumerate(order)}
    nodes = [[columns.names[r], index.get(int(columns.parents[r]), -1), *counts[r].tolist()] for r in order]
    definitions = {str(i): columns.definitions[r] for i, r in enumerate(order) if columns.levels[r] < LEVELS}
    return nodes, definitions
