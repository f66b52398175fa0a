"""Figures of a label tree: size, overlap of siblings, and how evenly items are spread over its leaves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindgpt_data.embed import Embedder
from mindgpt_data.tree.model import Tree
from mindgpt_plugins.core.files import FileError, read_jsonl

BLOCK = 1024
"""Leaves compared with all their siblings at once: bounds memory under a parent with very many."""


def count_tree_nodes(tree: Tree) -> dict[str, Any]:
    """``levels`` (nodes at level 1, 2, 3) and ``domains`` (level-1 id → ``{"l2": …, "l3": …}``)."""
    levels, parents, ids = tree.columns.levels, tree.columns.parents, tree.columns.ids
    root = np.arange(len(tree))
    for _ in range(2):
        root = np.where(parents[root] >= 0, parents[root], root)
    domains = {}
    for row in np.flatnonzero(parents < 0).tolist():
        inside = levels[root == row]
        domains[ids[row]] = {"l2": int((inside == 2).sum()), "l3": int((inside == 3).sum())}
    return {"levels": [int((levels == level).sum()) for level in (1, 2, 3)], "domains": domains}


def find_nearest_siblings(tree: Tree, embedder: Embedder) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Per parent of leaves: rows of its leaves, and each one's highest cosine to a sibling (-1 without one)."""
    for parent in np.unique(tree.columns.parents[tree.leaf_rows]).tolist():
        rows = tree.child_rows(parent)
        vectors = embedder.encode(tree.texts(rows.tolist()))
        highest = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), BLOCK):
            similar = vectors[start : start + BLOCK] @ vectors.T
            np.fill_diagonal(similar[:, start:], -1.0)
            highest[start : start + BLOCK] = similar.max(1)
        yield rows, highest


def measure_sibling_overlap(tree: Tree, embedder: Embedder, threshold: float) -> dict[str, Any]:
    """Sibling overlap.

    Returns:
        ``rate``: share of leaves whose highest cosine to a sibling is ≥ ``threshold``; ``mean`` of these cosines;
        ``worst``: up to ten leaves, ``(id, cosine)``.
    """
    ids, found = tree.columns.ids, list(find_nearest_siblings(tree, embedder))
    if not found:
        return {"rate": 0.0, "mean": 0.0, "worst": []}
    rows, similar = (np.concatenate(parts) for parts in zip(*found, strict=True))
    worst = np.argsort(-similar, kind="stable")[:10]
    return {
        "rate": float((similar >= threshold).mean()),
        "mean": float(similar.mean()),
        "worst": [(ids[rows[i]], round(float(similar[i]), 3)) for i in worst.tolist()],
    }


def count_leaf_items(path: Path, dimension: str) -> Mapping[str, int]:
    """Items per leaf in a file of rows (candidates.jsonl, kept.jsonl).

    Raises:
        FileError: unreadable, or a line without the dimension's key.
    """
    counts: Counter[str] = Counter()
    for place, row in read_jsonl(path, "generate"):
        if dimension not in row:
            raise FileError(f"{place}: has no {dimension!r}; rows of the data tools have one")
        if row[dimension] is not None:
            counts[row[dimension]] += 1
    return counts
