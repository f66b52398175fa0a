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
        str | None, typer.Argument(help="A kind (reward, sampler, stage, …) or `recipes`; default: all.")
    ] = None,
) -> None:
    """List registered plugins by kind with where they come from, and the shipped recipes."""
    from mindgpt_plugins.recipe.loading import shipped_recipes
    from mindgpt_plugins.registry import KINDS, RegistryError, names, nearest, origin

    if kind is not None and kind not in (*KINDS, "recipes"):
        raise RegistryError(f"unknown kind {kind!r}{nearest(kind, (*KINDS, 'recipes'))} The kinds: {', '.join(KINDS)}.")
    table = Table("kind", "name", "from")
    for each in KINDS if kind is None else [k for k in KINDS if k == kind]:
        for name in names(each):
            table.add_row(each, name, origin(each, name))
    if kind in (None, "recipes"):
        for name, path in shipped_recipes().items():
            table.add_row("recipe", name, str(path))
    Console().print(table)
