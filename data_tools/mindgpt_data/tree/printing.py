"""Shows a label tree on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from rich.markup import escape
from rich.table import Table
from rich.tree import Tree as Branches

from mindgpt_data.tree.model import Tree


def render_rich_tree(tree: Tree, depth: int, under: str | None = None, search: str | None = None) -> Branches:
    """The tree to print.

    Args:
        tree: all of it.
        depth: deepest level to print; what a search finds is printed at any depth.
        under: only below this node.
        search: only nodes whose id, name or definition contains this, with the path to them.

    Raises:
        TreeError: ``under`` is no node.
    """
    columns, word = tree.columns, (search or "").casefold()

    @cache
    def wanted(row: int) -> bool:
        text = " ".join((columns.ids[row], columns.names[row], columns.definitions[row]))
        return word in text.casefold() or any(wanted(child) for child in tree.child_rows(row).tolist())

    def add(to: Branches, rows: list[int]) -> None:
        for row in rows:
            if word and not wanted(row):
                continue
            below = tree.child_rows(row).tolist()
            shown = columns.levels[row] < depth or bool(word)
            more = f" [dim]+{len(below)}[/dim]" if below and not shown else ""
            text = f"[bold]{escape(columns.names[row])}[/bold] [cyan]{escape(columns.ids[row])}[/cyan]{more}"
            branch = to.add(f"{text} [dim]{escape(columns.definitions[row])}[/dim]")
            if shown:
                add(branch, below)

    top = Branches(f"{tree.dimension} tree, {len(tree.leaf_rows)} leaves")
    add(top, tree.child_rows(-1).tolist() if under is None else [tree.row(under)])
    if not top.children:
        top.add("[yellow]nothing found")
    return top


def make_domain_table(domains: Mapping[str, Mapping[str, int]]) -> Table:
    """Level-2 nodes and leaves per domain."""
    made = Table("domain", "level 2", "leaves")
    for domain, count in domains.items():
        made.add_row(domain, str(count["l2"]), str(count["l3"]))
    return made
