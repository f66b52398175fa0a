"""The reference page of every key, as Markdown: ``mindgpt keys --markdown > docs/recipe.md``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mindgpt_plugins.core import registry, signatures
from mindgpt_plugins.workbench.keys.collect import (
    Key,
    KeySection,
    collect_section,
    format_default_yaml,
    list_recipe_options,
    list_section_names,
)

_OPENING = """# Every key of a recipe

Generated from the schemas by `mindgpt keys --markdown > docs/recipe.md`; a test keeps it current. On the command line,
`mindgpt keys rl` prints one section, `mindgpt keys --search keep_per_prompt` finds a key, and `--json` is for programs.
Editors complete recipes by [recipe.schema.json](../recipes/recipe.schema.json), which the first line of each shipped
recipe names.

A registered thing is written the same way everywhere: by its name, or with options below it.

    curriculum: easy_to_hard
    curriculum: {name: easy_to_hard, options: {pacing: linear, start: 0.2}}

Only `rewards` has the name as the key, `rewards: {accuracy: {weight: 1, options: {…}}}`, because a recipe has several.
In a path, `[]` stands for each entry of a list and `<name>` for a name that you choose; `required` keys have no
default. What any registered name takes under `options` stands [at the end](#registered-names).
"""
_KINDS = tuple(kind for kind in registry.KINDS if kind not in ("stage", "patch"))


def render_keys_page() -> str:
    """The whole page; only what ships is on it, whatever else is installed."""
    shipped = [
        name
        for name in list_section_names()
        if name not in registry.list_registered_names("stage") or _is_ours("stage", name)
    ]
    parts = [_OPENING]
    parts += ["\n".join(_section(collect_section(name))) for name in shipped]
    parts += ["\n".join(_registered())]
    return "\n".join(parts) + "\n"


def _section(found: KeySection) -> Iterator[str]:
    yield f"## `{found.name}`\n"
    yield f"{found.about}\n"
    yield from _table(key for key in found.keys if not key.of or key.of.startswith("schedule"))
    yield ""


def _table(keys: Iterable[Key]) -> Iterator[str]:
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    for key in keys:
        default = "required" if key.default is None else f"`{_cell(key.default)}`"
        form = f" ({key.of.split()[-1]})" if key.of else ""
        yield f"| `{key.place}`{form} | {_cell(key.type)} | {default} | {_cell(key.description)} |"


def _registered() -> Iterator[str]:
    yield "## Registered names\n"
    yield "`mindgpt list KIND` prints the same with what your plugins and installed packages add."
    for kind in _KINDS:
        yield f"\n### {registry.PLURALS[kind].capitalize()}\n"
        yield "| name | what | options |"
        yield "|---|---|---|"
        for name in registry.list_registered_names(kind):
            if _is_ours(kind, name):
                told = signatures.describe_registered_name(kind, name)
                options = "<br>".join(_option(option) for option in list_recipe_options(kind, name))
                yield f"| `{name}` | {_cell(told.summary)} | {options or '–'} |"


def _option(option: signatures.Option) -> str:
    default = "required" if option.default is None else f"`{_cell(format_default_yaml(option.default))}`"
    return f"`{option.name}` ({default}): {_cell(option.description.replace('``', '`'))}"


def _is_ours(kind: str, name: str) -> bool:
    return registry.describe_origin(kind, name) == "built in"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
