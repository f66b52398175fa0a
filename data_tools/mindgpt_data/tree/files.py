"""Reads a label tree in any format, by its ending; a folder is one tree with a file per domain."""

from __future__ import annotations

from pathlib import Path

from mindgpt_data.tree import importing
from mindgpt_data.tree.checks import build_tree_from_nodes
from mindgpt_data.tree.model import DIMENSIONS, Tree, TreeError
from mindgpt_data.tree.nested import Placed

SEEDS = {
    "knowledge": Path(__file__).parent / "seeds" / "knowledge",
    "capability": Path(__file__).parent / "seeds" / "capability.yaml",
}
"""The shipped trees."""
READERS = {
    ".yaml": importing.read_yaml_nodes,
    ".yml": importing.read_yaml_nodes,
    ".json": importing.read_json_nodes,
    ".csv": importing.read_csv_nodes,
    ".txt": importing.read_indented_nodes,
}


def load_tree(dimension: str, path: Path | None = None, whole: bool = True) -> Tree:
    """Load a tree from ``path``, or the shipped seeds of ``dimension``.

    Args:
        dimension: ``knowledge`` or ``capability``.
        path: any format ``mindgpt data tree`` writes or imports: .parquet, .yaml, .json, .csv, .txt, or a folder of
            them (one file per domain).
        whole: refuse level-1 and level-2 nodes without children (a tree that is still to be expanded may have them).

    Raises:
        TreeError: unreadable, or see :func:`build`.
    """
    if dimension not in DIMENSIONS:
        raise TreeError(f"dimension {dimension!r} is not one of {', '.join(DIMENSIONS)}")
    return read_tree(dimension, path, whole)


def read_tree(dimension: str, path: Path | None, whole: bool = True) -> Tree:
    """Load a tree; the shipped seeds without ``path``.

    Raises:
        TreeError: missing, of an unknown format, or malformed; the message names the file and the line or node.
    """
    if path is None:
        path = SEEDS[dimension]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in READERS)
        if not files:
            raise TreeError(f"label tree {path} holds no {', '.join(READERS)} file")
        return merge_trees(dimension, files, whole)
    if path.suffix.lower() == ".parquet":
        from mindgpt_data.tree.store import read_parquet

        tree = read_parquet(path, whole)
        if tree.dimension != dimension:
            raise TreeError(f"label tree {path} is a {tree.dimension} tree; a {dimension} tree is wanted")
        return tree
    return merge_trees(dimension, [path], whole)


def merge_trees(dimension: str, files: list[Path], whole: bool = True) -> Tree:
    """One tree of several files, each with its own level-1 nodes, in the order given.

    Raises:
        TreeError: see :func:`read_tree`.
    """
    placed: list[Placed] = []
    for file in files:
        if file.is_dir() or file.suffix.lower() == ".parquet":
            placed.extend((str(file), node) for node in read_tree(dimension, file, whole=False).nodes.values())
            continue
        reader = READERS.get(file.suffix.lower())
        if reader is None:
            raise TreeError(f"label tree {file}: unknown ending; one of .parquet, {', '.join(READERS)} or a folder")
        placed.extend(reader(file))
    if not placed:
        raise TreeError(f"label tree {', '.join(map(str, files))} is empty")
    return build_tree_from_nodes(dimension, placed, whole=whole)
