"""Reads a user's own tree: YAML, JSON, CSV or indented text; every complaint names the line or the node."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mindgpt_data.tree.checks import make_node
from mindgpt_data.tree.ids import make_child_id
from mindgpt_data.tree.model import LEVELS, Node, TreeError
from mindgpt_data.tree.nested import Placed, parse_nested_nodes
from mindgpt_plugins.core.errors import InputError
from mindgpt_plugins.core.json_text import parse_json_text
from mindgpt_plugins.core.yaml_limits import TREE_LIMITS, check_yaml_text

PATH_COLUMNS = ("l1", "l2", "l3")
EXTRA_COLUMNS = ("definition", "exclusions", "exemplars", "density")
NODE_COLUMNS = ("id", "parent", "level", "name", *EXTRA_COLUMNS)
BETWEEN = "|"
"""Separates exemplars in a CSV cell."""


def read_yaml_nodes(path: Path) -> list[Placed]:
    """Nodes of a YAML file: a list of nodes (with ``level``), or nested, see :mod:`mindgpt_data.tree.nested`.

    Raises:
        TreeError: not YAML in UTF-8, a key twice, or malformed nodes.
    """
    try:
        text = _text(path)
        check_yaml_text(text, TREE_LIMITS)
        data = yaml.load(text, _OnceLoader)
    except (yaml.YAMLError, InputError) as error:
        raise TreeError(f"label tree {path} is no YAML: {error}") from None
    return _nodes(data, path)


def read_json_nodes(path: Path) -> list[Placed]:
    """Nodes of a JSON file; both shapes of :func:`read_yaml_nodes`.

    Raises:
        TreeError: not JSON in UTF-8, a key twice, or malformed nodes.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise TreeError(f"label tree {path}: key {twice!r} occurs twice in one object; rename or merge them")
        return found

    try:
        data = parse_json_text(_text(path), object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise TreeError(f"label tree {path} line {error.lineno}: no JSON: {error.msg}") from None
    except InputError as error:
        raise TreeError(f"label tree {path}: {error}") from None
    return _nodes(data, path)


def read_csv_nodes(path: Path) -> list[Placed]:
    """Nodes of a CSV file, by its header.

    ``l1,l2,l3`` and any of ``definition,exclusions,exemplars,density``: one row per leaf, or per inner node with the
    deeper columns empty; inner nodes without a row of their own are made. Or ``id,parent,level,name`` and the same
    extras: one row per node. Exemplars are separated by ``|``.

    Raises:
        TreeError: not UTF-8, another header, a hole in a path, or a label twice; with the line.
    """
    reader = csv.DictReader(io.StringIO(_text(path)), strict=True)
    header = [name.strip().casefold() for name in reader.fieldnames or ()]
    reader.fieldnames = header
    by_path = set(PATH_COLUMNS) <= set(header)
    known = (*PATH_COLUMNS, *EXTRA_COLUMNS) if by_path else NODE_COLUMNS
    if not by_path and not {"id", "parent", "level", "name"} <= set(header):
        shown = ",".join(header) or "none"
        raise TreeError(f"label tree {path} line 1: needs columns l1,l2,l3 or id,parent,level,name; got {shown}")
    if unknown := [name for name in header if name not in known]:
        raise TreeError(f"label tree {path} line 1: unknown column {unknown[0]!r}; known: {', '.join(known)}")
    rows: list[tuple[str, dict[str, str]]] = []
    try:
        for row in reader:
            place = f"label tree {path} line {reader.line_num}"
            if None in row or None in row.values():
                raise TreeError(f"{place}: has another number of cells than the header ({len(header)})")
            rows.append((place, {key: value.strip() for key, value in row.items()}))
    except csv.Error as error:
        raise TreeError(f"label tree {path} line {reader.line_num}: no CSV: {error}") from None
    return _by_path(rows) if by_path else [(place, _flat(row, place)) for place, row in rows]


def read_indented_nodes(path: Path) -> list[Placed]:
    """Nodes of indented text: ``Name`` or ``Name: definition`` per line, children indented; bullets and ``#`` comments.

    Raises:
        TreeError: not UTF-8, tabs mixed with spaces, an indent that fits no level, more than three levels, or siblings
            of one name; with the line.
    """
    found: list[Placed] = []
    stack: list[tuple[int, Node]] = []
    lines: dict[tuple[str | None, str], int] = {}
    taken: set[str] = set()
    for number, line in enumerate(_text(path).splitlines(), 1):
        place = f"label tree {path} line {number}"
        text = line.strip().removeprefix("- ").strip()
        if not text or text.startswith("#"):
            continue
        indent = line[: len(line) - len(line.lstrip())]
        if "\t" in indent and " " in indent:
            raise TreeError(f"{place}: the indent mixes tabs and spaces")
        ended = [at for at, _ in stack if at >= len(indent)]
        stack = [entry for entry in stack if entry[0] < len(indent)]
        if (ended and min(ended) != len(indent)) or (not stack and indent):
            raise TreeError(f"{place}: {text!r} is indented by {len(indent)}, which fits no line above")
        if len(stack) == LEVELS:
            raise TreeError(f"{place}: {text!r} is at level {LEVELS + 1}; a label tree has {LEVELS} levels")
        parent = stack[-1][1].id if stack else None
        name, _, definition = (part.strip() for part in text.partition(": "))
        before = lines.setdefault((parent, name.casefold()), number)
        if before != number:
            raise TreeError(f"{place}: {name!r} is already on line {before}; rename or merge them")
        node = Node(
            id=make_child_id(parent, name, taken), level=len(stack) + 1, parent=parent, name=name, definition=definition
        )
        taken.add(node.id)
        stack.append((len(indent), node))
        found.append((place, node))
    return found


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TreeError(f"label tree {path} cannot be read: {error.strerror or error}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        bad = f"byte 0x{data[error.start]:02x}"
        raise TreeError(f"label tree {path} line {line}: not UTF-8 ({bad}); save the file as UTF-8") from None


def _nodes(data: Any, path: Path) -> list[Placed]:
    where = f"label tree {path}"
    if isinstance(data, list) and any(isinstance(item, Mapping) and {"level", "parent"} & set(item) for item in data):
        places = [f"{where}, node {number}" for number in range(1, len(data) + 1)]
        return [(place, make_node(item, place)) for place, item in zip(places, data, strict=True)]
    return parse_nested_nodes(data, where)


def _flat(row: Mapping[str, str], place: str) -> Node:
    if not row["level"].isdigit():
        raise TreeError(f"{place}: level must be 1, 2 or 3, got {row['level']!r}")
    return make_node({**_extras(row), **{key: row[key] for key in ("id", "name")}, "level": int(row["level"]),
                      "parent": row["parent"] or None}, place)  # fmt: skip


def _extras(row: Mapping[str, str]) -> dict[str, Any]:
    exemplars = tuple(part.strip() for part in row.get("exemplars", "").split(BETWEEN) if part.strip())
    return {
        "definition": row.get("definition", ""),
        "exclusions": row.get("exclusions", ""),
        "exemplars": exemplars,
        "density": row.get("density") or None,
    }


def _by_path(rows: list[tuple[str, dict[str, str]]]) -> list[Placed]:
    nodes: dict[tuple[str, ...], Placed] = {}
    own: dict[tuple[str, ...], str] = {}
    taken: set[str] = set()
    for place, row in rows:
        names = [row[column] for column in PATH_COLUMNS]
        depth = sum(map(bool, names))
        if not depth or not all(names[:depth]):
            raise TreeError(f"{place}: {','.join(names)!r} has a hole; fill l1, then l2, then l3")
        key = tuple(name.casefold() for name in names[:depth])
        if key in own:
            raise TreeError(f"{place}: {' / '.join(names[:depth])!r} is already on {own[key].rpartition(' ')[2]}")
        own[key] = place
        for level in range(1, depth + 1):
            at, parent = key[:level], nodes[key[: level - 1]][1].id if level > 1 else None
            if at not in nodes:
                made = make_child_id(parent, names[level - 1], taken)
                taken.add(made)
                nodes[at] = place, Node(id=made, level=level, parent=parent, name=names[level - 1], definition="")
        nodes[key] = place, nodes[key][1].model_copy(update=_extras(row))
    return list(nodes.values())


class _OnceLoader(yaml.SafeLoader):
    """Refuses a key that occurs twice, which YAML readers otherwise overwrite silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[Any, int] = {}
        for key_node, _ in node.value:
            key, line = self.construct_object(key_node, deep=True), key_node.start_mark.line + 1
            if seen.setdefault(key, line) != line:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} is already on line {seen[key]}; rename or merge them", key_node.start_mark
                )
        return super().construct_mapping(node, deep=deep)
