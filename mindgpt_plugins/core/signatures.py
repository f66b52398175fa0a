"""What a registered thing is for and which options it takes, read from its source without importing it.

Half of what a recipe can name imports torch; a listing must not wait for that. So the source is parsed: the first line
of the docstring is the summary, keyword-only parameters are the options, and ``Args:`` of the docstring describes them.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mindgpt_plugins.core import registry

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Option:
    """One keyword-only parameter."""

    name: str
    type: str
    """Its annotation as the source spells it; empty without one."""
    default: str | None
    """Source of the default; None where a value must be given."""
    description: str
    """Its entry in ``Args:``, in one line."""

    def __str__(self) -> str:
        return self.name if self.default is None else f"{self.name}={self.default}"


@dataclass(frozen=True)
class Described:
    """A registered thing, for listings."""

    summary: str
    """First line of its docstring."""
    options: tuple[Option, ...]


@dataclass(frozen=True)
class _Found:
    """A definition, and the module in which its names are to be looked up."""

    module: str
    node: Function | ast.ClassDef
    called: bool = False
    """Is the registered object an instance of the class, so that its ``__call__`` takes the options?"""


def describe_registered_name(kind: str, name: str) -> Described:
    """Summary and options of a registered name; a stage's summary is its config's, which is what a recipe writes.

    Raises:
        RegistryError: there is no such name.
        PluginError: its source cannot be found or read.
    """
    target = registry.find_registered_target(kind, name)
    if target is None:
        thing = registry.get_registered(kind, name)
        return (
            Described(_first_sentence(inspect.getdoc(thing.Config) or ""), ()) if kind == "stage" else _of_object(thing)
        )
    return _of_target(target, kind == "stage")


@cache
def _of_target(target: str, stage: bool) -> Described:
    module, _, attribute = target.partition(":")
    found = _find(module, attribute)
    if found is None:
        raise registry.PluginError(f"{target} is no function, class or instance in its source")
    return Described(_first_sentence(ast.get_docstring(_config(found)) or ""), ()) if stage else _of_source(found)


def _config(found: _Found) -> Function | ast.ClassDef:
    """The class that a stage names as its ``Config``, or the stage itself."""
    for node in found.node.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "Config":
            config = _find(found.module, node.value.id) if isinstance(node.value, ast.Name) else None
            return found.node if config is None else config.node
    return found.node


def _of_source(found: _Found) -> Described:
    text = ast.get_docstring(found.node) or ""
    function: Function | None = found.node if not isinstance(found.node, ast.ClassDef) else None
    if isinstance(found.node, ast.ClassDef):
        method = _method(found, "__call__" if found.called else "__init__")
        if method is not None:
            owner, function = method
            # Options are described where they are taken: at the method, at its class, or at the class that is named.
            text = "\n\n".join(one for one in (text, ast.get_docstring(owner), ast.get_docstring(function)) if one)
    return Described(_first_sentence(text), tuple(_options(function, text)) if function is not None else ())


def _options(function: Function, text: str) -> Iterator[Option]:
    told = parse_argument_docs(text)
    for parameter, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
        yield Option(
            parameter.arg,
            ast.unparse(parameter.annotation) if parameter.annotation else "",
            ast.unparse(default) if default is not None else None,
            told.get(parameter.arg, ""),
        )


def _of_object(thing: Any) -> Described:
    """The same for something that a module of the recipe's ``plugins:`` has registered in this process."""
    text = inspect.getdoc(thing) or ""
    told = parse_argument_docs(text)
    options = [
        Option(
            parameter.name,
            "" if parameter.annotation is parameter.empty else inspect.formatannotation(parameter.annotation),
            None if parameter.default is parameter.empty else repr(parameter.default),
            told.get(parameter.name, ""),
        )
        for parameter in inspect.signature(thing).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]
    return Described(_first_sentence(text), tuple(options))


def parse_argument_docs(text: str) -> dict[str, str]:
    """Argument → description of every ``Args:`` section in a docstring (Google style), each in one line."""
    found: dict[str, str] = {}
    lines = text.splitlines()
    for start in (i for i, line in enumerate(lines) if line.strip() == "Args:"):
        outer = len(lines[start]) - len(lines[start].lstrip())
        section = []
        for line in lines[start + 1 :]:
            if line.strip() and len(line) - len(line.lstrip()) <= outer:
                break
            section.append(line)
        name = ""
        for line in textwrap.dedent("\n".join(section)).splitlines():
            if line and not line.startswith(" "):
                name, _, rest = line.partition(":")
                name = name.split("(")[0].strip()
                found[name] = rest.strip()
            elif name and line.strip():
                found[name] = f"{found[name]} {line.strip()}".strip()
    return found


def _first_sentence(text: str) -> str:
    """The docstring's first paragraph line, without the markup of roles and literals."""
    first = text.strip().split("\n\n")[0].replace("\n", " ")
    return first.replace("``", "")


def _find(module: str, attribute: str) -> _Found | None:
    """The definition that ``module:attribute`` names, through imports and instances."""
    return _find_in(_tree(module), module, attribute)


def _find_in(tree: ast.Module, module: str, name: str) -> _Found | None:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == name:
            return _Found(module, node)
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _find(node.module, alias.name)
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            value = node.value
            if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
                of = _find_in(tree, module, value.func.id)
                return of and _Found(of.module, of.node, called=True)
    return None


def _method(found: _Found, name: str) -> tuple[ast.ClassDef, Function] | None:
    """A method of a class or of the nearest base class that has it."""
    assert isinstance(found.node, ast.ClassDef)
    for node in found.node.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
            return found.node, node
    for base in found.node.bases:
        if isinstance(base, ast.Name):
            above = _find(found.module, base.id)
            if above is not None and isinstance(above.node, ast.ClassDef) and (method := _method(above, name)):
                return method
    return None


@cache
def _tree(module: str) -> ast.Module:
    path = _path(module)
    if path is None:
        raise registry.PluginError(f"module {module!r} cannot be found, so its options cannot be listed")
    try:
        return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise registry.PluginError(f"module {module!r} cannot be read: {error}") from error


def _path(module: str) -> Path | None:
    """Where a module's source lies. Only the outermost package is asked for: inner ones would be imported to tell."""
    top, *inner = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not inner and spec.origin:
        return Path(spec.origin)
    for folder in spec.submodule_search_locations or ():
        stem = Path(folder, *inner)
        for path in (stem.with_suffix(".py"), stem / "__init__.py"):
            if path.is_file():
                return path
    return None
