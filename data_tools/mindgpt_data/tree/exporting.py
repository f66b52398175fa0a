"""Writes a label tree as Parquet, YAML, JSON or CSV; every one of them loads again to the same nodes."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import yaml

from mindgpt_data.tree.importing import BETWEEN, NODE_COLUMNS
from mindgpt_data.tree.model import Tree, TreeError
from mindgpt_data.tree.store import write_parquet
from mindgpt_plugins.core.files import write_json, write_text


def write_tree(tree: Tree, path: Path) -> None:
    """Write a tree in the format of the path's ending; the file is replaced in one move.

    Raises:
        TreeError: unknown ending.
    """
    ending = path.suffix.lower()
    if ending == ".parquet":
        write_parquet(tree, path)
    elif ending in (".yaml", ".yml"):
        write_text(path, yaml.safe_dump(_nested(tree, None), sort_keys=False, allow_unicode=True, width=120))
    elif ending == ".json":
        write_json(path, [_record(tree, node) for node in tree.nodes])
    elif ending == ".csv":
        write_text(path, _csv(tree))
    else:
        raise TreeError(f"cannot write a label tree to {path}: use .parquet, .yaml, .json or .csv")


def _record(tree: Tree, node: str) -> dict[str, Any]:
    return tree.nodes[node].model_dump(mode="json", exclude_defaults=True)


def _nested(tree: Tree, parent: str | None) -> dict[str, Any]:
    """``{name: {id, definition, …, children}}``, which owners can read and edit."""
    found = {}
    for node in tree.roots if parent is None else tree.children(parent):
        fields = {k: v for k, v in _record(tree, node).items() if k not in ("name", "level", "parent")}
        below = _nested(tree, node)
        found[tree.nodes[node].name] = {**fields, "children": below} if below else fields
    return found


def _csv(tree: Tree) -> str:
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(NODE_COLUMNS)
    for node in tree.nodes.values():
        parts = {**node.model_dump(), "exemplars": BETWEEN.join(node.exemplars)}
        if any(BETWEEN in exemplar for exemplar in node.exemplars):
            raise TreeError(f"{node.id!r}: an exemplar contains {BETWEEN!r}, which separates them in CSV; use .parquet")
        table.writerow(["" if parts[name] is None else parts[name] for name in NODE_COLUMNS])
    return out.getvalue()
