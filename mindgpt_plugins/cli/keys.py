"""``mindgpt keys``: every key that a recipe may have, with its type, default and meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mindgpt_plugins.workbench.keys.collect import Key, KeySection


def add(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("keys")(keys)


def keys(
    kind: Annotated[
        str | None,
        typer.Argument(
            help="A stage kind (sft, rl, data, …), recipe (its head), mindgpt (LLaMA-Factory's section), verl "
            "(settings of a verl run of your own) or schedule; default: all."
        ),
    ] = None,
    search: Annotated[str | None, typer.Option(help="Only keys in which this word occurs.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, one object per key.")] = False,
    markdown: Annotated[bool, typer.Option(help="The whole reference page, as in docs/recipe.md.")] = False,
    json_schema: Annotated[
        bool, typer.Option("--json-schema", help="The JSON schema of recipes, as in recipes/recipe.schema.json.")
    ] = False,
) -> None:
    """Print every recipe key with its dotted path, type, default and meaning, and the options of registered names.

    Example: mindgpt keys rl --search clip
    """
    import json
    import sys

    from mindgpt_plugins.core.registry import RegistryError

    if markdown or json_schema:
        if kind is not None or search is not None or as_json or (markdown and json_schema):
            raise RegistryError("--markdown and --json-schema print the whole; give them alone")
        sys.stdout.write(_whole(markdown))
        return
    from mindgpt_plugins.workbench.keys.collect import collect_section, list_section_names

    found = [_matching(collect_section(name), search) for name in ([kind] if kind else list_section_names())]
    found = [one for one in found if one.keys]
    if not found:
        raise RegistryError(f"no key{f' of {kind}' if kind else ''} has the word {search!r}; try a part of it")
    if as_json:
        rows = [{"section": one.name, **_plain(key)} for one in found for key in one.keys]
        sys.stdout.write(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    elif sys.stdout.isatty():
        _print_tables(found)
    else:
        for one in found:
            for key in one.keys:
                print("\t".join([one.name, key.place, key.of, key.type, _default(key), key.description]))


def _whole(markdown: bool) -> str:
    if markdown:
        from mindgpt_plugins.workbench.keys.markdown import render_keys_page

        return render_keys_page()
    from mindgpt_plugins.workbench.keys.editor_schema import render_schema_text

    return render_schema_text()


def _matching(one: KeySection, search: str | None) -> KeySection:
    from dataclasses import replace

    return one if search is None else replace(one, keys=[key for key in one.keys if key.fits(search)])


def _plain(key: Key) -> dict[str, str | bool | None]:
    return {
        "key": key.place,
        "of": key.of or None,
        "type": key.type,
        "required": key.default is None,
        "default": key.default,
        "description": key.description,
    }


def _default(key: Key) -> str:
    return "required" if key.default is None else key.default


def _print_tables(found: list[KeySection]) -> None:
    from rich.table import Table
    from rich.text import Text

    from mindgpt_plugins.core.console import make_console

    console = make_console()
    for one in found:
        console.print(Text(one.name, "bold"), Text(one.about, "dim"))
        table = Table("key", "type", "default", "meaning", box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for key in one.keys:
            about = f"[{key.of}] {key.description}" if key.of else key.description
            # Text, not markup: brackets of lists and options are meant as they stand.
            table.add_row(Text(key.place, "bold"), Text(key.type), Text(_default(key)), Text(about))
        console.print(table)
        console.print()
