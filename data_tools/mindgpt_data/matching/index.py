"""Vectors for a whole tree, and a beam down its three levels (ours)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mindgpt_data.tree.model import Tree
from mindgpt_plugins.core.files import dump_json_line, replace_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

Encode = Callable[[Sequence[str]], "NDArray[np.float32]"]
"""Texts → unit vectors ``[n, dim]``."""


@dataclass(frozen=True)
class Hit:
    """A leaf: its row in the tree and the cosine."""

    row: int
    score: float


class Index:
    """A tree's vectors: leaves by their texts, inner nodes by their own text and the mean of what is below them.

    Args:
        tree: the knowledge tree.
        vectors: float32 ``[nodes, dim]``, aligned with the tree's rows, unit length.
    """

    def __init__(self, tree: Tree, vectors: NDArray[np.float32]) -> None:
        self.tree, self.vectors = tree, vectors

    def beam(self, query: NDArray[np.float32], widths: Sequence[int]) -> list[Hit]:
        """Leaves under the best inner nodes, best first.

        Args:
            query: float32 ``[dim]``, unit length: one phrase, or a picture. Each descends on its own: in a shared beam
                one thing's relatives would crowd out the others.
            widths: how many nodes to keep at level 1, 2 and 3.
        """
        rows, hits = self.tree.child_rows(-1), list[Hit]()
        for width in widths:
            scores = self.vectors[rows] @ query
            kept = np.lexsort((rows, -scores))[:width]
            hits = [Hit(int(rows[i]), float(scores[i])) for i in kept]
            rows = np.concatenate([self.tree.child_rows(hit.row) for hit in hits])
        return hits


def build_topic_index(tree: Tree, encode: Encode, name: str, cache: Path) -> Index:
    """Embed a tree, or read its vectors from ``cache``.

    Args:
        tree: the knowledge tree.
        encode: makes unit vectors.
        name: of the model behind ``encode``; part of the cache's key, as are all texts.
        cache: folder of ``topics-<key>.npy``; a million leaves of 256 dimensions take 1 GB there.
    """
    texts = format_node_texts(tree)
    key = hashlib.sha256(dump_json_line([name, tree.columns.parents.tolist(), texts]).encode()).hexdigest()[:16]
    path = cache / f"topics-{key}.npy"
    if path.is_file():
        return Index(tree, np.load(path, mmap_mode="r"))
    vectors = _with_descendants(tree, encode(texts))
    with replace_file(path) as aside, aside.open("wb") as file:  # a file, since numpy would add a suffix to a name
        np.save(file, vectors)
    return Index(tree, vectors)


def format_node_texts(tree: Tree) -> list[str]:
    """Name, definition and path of every node, lower case: static vectors tell ``Car`` and ``car`` apart."""
    names, parents = tree.columns.names, tree.columns.parents.tolist()
    texts = tree.texts(range(len(tree)))
    above: list[str] = [""] * len(tree)
    for row in np.argsort(tree.columns.levels, kind="stable").tolist():
        parent = parents[row]
        above[row] = names[row] if parent < 0 else f"{above[parent]} > {names[row]}"
    return [f"{text} {path}".casefold() for text, path in zip(texts, above, strict=True)]


def normalise_vectors(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows scaled to length 1; zero rows stay zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = (vectors / np.where(norms > 0, norms, 1)).astype(np.float32)
    return scaled


def _with_descendants(tree: Tree, own: NDArray[np.float32]) -> NDArray[np.float32]:
    """An inner node's name says little of what is below it; its children's mean says the rest."""
    vectors, parents, levels = own.astype(np.float32), tree.columns.parents, tree.columns.levels
    for level in (2, 1):
        below = np.flatnonzero(levels == level + 1)
        sums = np.zeros_like(vectors)
        np.add.at(sums, parents[below], vectors[below])
        here = np.flatnonzero(levels == level)
        vectors[here] = normalise_vectors(own[here] + normalise_vectors(sums[here]))
    return vectors
