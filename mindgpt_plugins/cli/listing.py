"""``mindgpt list``: what a recipe can name, what it is for and which options it takes."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from mindgpt_plugins.core.console import make_console


def add(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("list")(listing)


def listing(
    kind: Annotated[
        str | None,
        typer.Argument(help="A kind (rewards, losses, stages, …) or recipes; default: all."),
    ] = None,
) -> None:
    """List what a recipe can name: what it is for, its options and where it comes from; and the shipped recipes."""
    from mindgpt_plugins.core.registry import PLURALS, RegistryError, find_misnamed_groups, hint_nearest

    # A pipe gets whole lines, so that they can be searched.
    console = make_console(width=None if sys.stdout.isatty() else 240)
    known = [*PLURALS.values(), "recipes"]
    wanted = {**PLURALS, "recipe": "recipes"}.get(kind or "", kind)
    if wanted is not None and wanted not in known:
        raise RegistryError(f"unknown kind {kind!r}{hint_nearest(str(kind), known)} The kinds: {', '.join(known)}.")
    for singular, plural in PLURALS.items():
        if wanted in (None, plural):
            console.print(_patches() if plural == "patches" else _registered(singular))
    if wanted in (None, "recipes"):
        console.print(_recipes())
    for fault in find_misnamed_groups():
        console.print(Text(fault, "bold red"), soft_wrap=True)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column)
    return table


def _registered(kind: str) -> Table:
    from mindgpt_plugins.core.registry import (
        PLURALS,
        PluginError,
        RegistryError,
        describe_origin,
        list_registered_names,
    )
    from mindgpt_plugins.core.signatures import describe_registered_name
    from mindgpt_plugins.workbench.keys.collect import format_default_yaml, list_recipe_options

    options = () if kind == "stage" else ("options",)
    table = _table(PLURALS[kind], "name", "what", *options, "from")
    for name in list_registered_names(kind):
        try:
            taken = [] if kind == "stage" else list_recipe_options(kind, name)
            shown = [
                one.name if one.default is None else f"{one.name}={format_default_yaml(one.default)}" for one in taken
            ]
            row = [describe_registered_name(kind, name).summary, *(["\n".join(shown)] if options else [])]
        except (PluginError, RegistryError) as error:
            row = [f"cannot be read: {error}", *([""] if options else [])]
        table.add_row(*map(Text, (name, *row, describe_origin(kind, name))))
    return table


def _recipes() -> Table:
    from mindgpt_plugins.recipe.loading import list_shipped_recipes

    table = _table("recipes", "name", "file")
    for name, path in list_shipped_recipes().items():
        table.add_row(name, str(path))
    return table


def _patches() -> Table:
    """What the key ``patches:`` of a stage can name."""
    from mindgpt_patches.catalog import AUTO, CATALOG

    table = _table("patches", "name", "stages", "auto means", "what")
    for name, entry in CATALOG.items():
        table.add_row(name, ", ".join(entry.stages), AUTO[entry.auto], entry.what)
    return table
