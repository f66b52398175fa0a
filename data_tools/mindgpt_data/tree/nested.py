"""Trees written as people write them: names with their children inside, ids left to the machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mindgpt_data.tree.checks import make_node
from mindgpt_data.tree.ids import make_child_id
from mindgpt_data.tree.model import LEVELS, Node, TreeError

Placed = tuple[str, Node]
"""Where a node stands (file and line, or its path of names), and the node."""


def parse_nested_nodes(data: Any, where: str) -> list[Placed]:
    """Nodes of a nested tree, parents first.

    Args:
        data: at every level either ``{name: definition}`` or ``{name: {definition, children, …}}``, or a list of
            ``{name, definition, children, …}``. Optional keys: ``id`` (default: parent's id and the name's slug),
            ``exclusions``, ``exemplars``, ``density`` (which children inherit).
        where: for error messages.

    Raises:
        TreeError: something else than that, more than three levels, or siblings of one name.
    """
    found: list[Placed] = []
    taken: set[str] = set()
    _walk(data, None, where, found, taken)
    return found


def _walk(data: Any, parent: Node | None, place: str, found: list[Placed], taken: set[str]) -> None:
    level = 1 if parent is None else parent.level + 1
    names: set[str] = set()
    for name, fields in _entries(data, place):
        here = f"{place}, {name}" if parent is None else f"{place} / {name}"
        if level > LEVELS:
            raise TreeError(f"{here}: is at level {level}; a label tree has {LEVELS} levels")
        if name.casefold() in names:
            raise TreeError(f"{here}: two siblings have this name; rename or merge them")
        names.add(name.casefold())
        plain = {key: value for key, value in fields.items() if key != "children"}
        plain.setdefault("id", make_child_id(parent.id if parent else None, name, taken))
        plain.setdefault("definition", "")
        if parent and parent.density:
            plain.setdefault("density", parent.density)
        node = make_node({**plain, "name": name, "level": level, "parent": parent.id if parent else None}, here)
        taken.add(node.id)
        found.append((here, node))
        if fields.get("children") is not None:
            _walk(fields["children"], node, here, found, taken)


def _entries(data: Any, place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(data, Mapping):
        for name, value in data.items():
            if isinstance(value, str) or value is None:
                value = {"definition": value or ""}
            if not isinstance(value, Mapping):
                raise TreeError(f"{place}: under {name!r} must stand a definition or keys, got {type(value).__name__}")
            yield str(name), value
        return
    if not isinstance(data, list):
        raise TreeError(f"{place}: must be labels by name or a list of labels, got {type(data).__name__}")
    for number, item in enumerate(data, 1):
        if isinstance(item, str):
            yield item, {}
        elif isinstance(item, Mapping) and isinstance(item.get("name"), str):
            yield item["name"], {key: value for key, value in item.items() if key != "name"}
        else:
            raise TreeError(f"{place}: entry {number} needs a name: {item!r:.80}")
