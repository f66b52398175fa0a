"""``mindgpt list``: what a recipe can name."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table


def add(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("list")(listing)


def listing(
    kind: Annotated[
        str | None, typer.Argument(help="A kind (reward, sampler, stage, …), `recipes` or `patches`; default: all.")
    ] = None,
) -> None:
    """List registered plugins by kind with where they come from, and the shipped recipes."""
    from mindgpt_plugins.core.registry import KINDS, RegistryError, names, nearest, origin
    from mindgpt_plugins.recipe.loading import shipped_recipes

    if kind == "patches":
        Console().print(_patches())
        return
    if kind is not None and kind not in (*KINDS, "recipes"):
        known = (*KINDS, "recipes", "patches")
        raise RegistryError(f"unknown kind {kind!r}{nearest(kind, known)} The kinds: {', '.join(known)}.")
    table = Table("kind", "name", "from")
    for each in KINDS if kind is None else [k for k in KINDS if k == kind]:
        for name in names(each):
            table.add_row(each, name, origin(each, name))
    if kind in (None, "recipes"):
        for name, path in shipped_recipes().items():
            table.add_row("recipe", name, str(path))
    Console().print(table)


def _patches() -> Table:
    """What the key ``patches:`` of a stage can name."""
    from mindgpt_patches.catalog import AUTO, CATALOG

    table = Table("patch", "stages", "auto means", "what")
    for name, entry in CATALOG.items():
        table.add_row(name, ", ".join(entry.stages), AUTO[entry.auto], entry.what)
    return table
