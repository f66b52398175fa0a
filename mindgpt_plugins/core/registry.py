"""One registry for everything a recipe can name.

The kinds are a closed set. A name resolves, in this order, to something registered in this process (a recipe's
``plugins:`` modules), to one of our built-ins, or to a third-party entry point in the kind's group
(``mindgpt.rewards``, ``mindgpt.losses``, …); the last two are imported only when a recipe uses them. A duplicate name,
a wrong signature and an unknown name are errors that say what to do: nothing is skipped silently.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from mindgpt_plugins.core.builtins import BUILTINS

PLURALS = {
    "reward": "rewards",
    "advantage": "advantages",
    "sampler": "samplers",
    "mixture": "mixtures",
    "loss": "losses",
    "estimator": "estimators",
    "patch": "patches",
    "teacher": "teachers",
    "allocator": "allocators",
    "gate": "gates",
    "stage": "stages",
}
"""Kind → its plural, which names the entry-point group and the listing. Closed: a new kind is a design decision."""
KINDS = tuple(PLURALS)

#: Leading positional parameters a registered callable must accept; every further parameter is a keyword-only option.
SIGNATURES: dict[str, int] = {"reward": 1, "advantage": 1, "estimator": 1, "allocator": 2, "gate": 1}

PLUGIN_PREFIX = "mindgpt_user_"
"""Begins the module name of a recipe's own ``.py`` file."""
_registered: dict[tuple[str, str], Any] = {}
T = TypeVar("T")


class RegistryError(ValueError):
    """A name, kind or signature is wrong; the message names the fix."""


class PluginError(RuntimeError):
    """A plugin module could not be imported; the run must stop."""


def hint_nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest known name, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def register(kind: str, name: str | None = None) -> Callable[[T], T]:
    """Decorator that adds an object under ``kind`` and ``name`` (default: its ``__name__``).

    Raises:
        RegistryError: unknown kind, name already taken by another object, or a signature that does not fit the kind.
    """
    _check_kind(kind)

    def add(obj: T) -> T:
        key = (kind, name or str(getattr(obj, "__name__", "")))
        if not key[1]:
            raise RegistryError(f"a {kind} needs a name: register({kind!r}, name='...')")
        target = BUILTINS.get(kind, {}).get(key[1])
        if target is not None and target.split(":")[0] != getattr(obj, "__module__", None):
            raise RegistryError(f"{kind} {key[1]!r} is built in ({target}); choose another name for {_origin(obj)}")
        taken = _registered.get(key)
        if taken is not None and _origin(taken) != _origin(obj):
            raise RegistryError(
                f"{kind} {key[1]!r} is registered twice: by {_origin(taken)} and {_origin(obj)}; rename one of them"
            )
        check_signature(kind, key[1], obj)
        _registered[key] = obj
        return obj

    return add


def get_registered(kind: str, name: str) -> Any:
    """Return the object registered under ``kind`` and ``name``, importing its module if needed.

    Raises:
        RegistryError: unknown kind or name (with the nearest known name), or two packages offer the same name.
        PluginError: the module that should provide it raised on import.
    """
    _check_kind(kind)
    if (kind, name) in _registered:
        return _registered[kind, name]
    target = BUILTINS.get(kind, {}).get(name)
    if target is None:
        offers = [entry for entry in _entry_points(kind) if entry.name == name]
        if len(offers) > 1:
            owners = ", ".join(sorted(str(entry.dist.name if entry.dist else entry.value) for entry in offers))
            raise RegistryError(f"{kind} {name!r} is offered by several packages ({owners}); uninstall all but one")
        if not offers:
            known = list_registered_names(kind)
            astray = "".join(f" {fault}." for fault in find_misnamed_groups())
            raise RegistryError(
                f"there is no {kind} {name!r}{hint_nearest(name, known)} Known: {', '.join(known) or 'none'}. "
                f"Add your own through the recipe's `plugins:` list or an entry point in "
                f"{format_entry_point_group(kind)!r}.{astray}"
            )
        target = offers[0].value
    module, _, attribute = target.partition(":")
    try:
        obj = getattr(importlib.import_module(module), attribute)
    except Exception as error:
        raise PluginError(f"{kind} {name!r} ({target}) cannot be imported: {type(error).__name__}: {error}") from error
    check_signature(kind, name, obj)
    _registered[kind, name] = obj
    return obj


def list_registered_names(kind: str) -> list[str]:
    """All names that :func:`get_registered` would resolve for ``kind``, sorted; imports nothing."""
    _check_kind(kind)
    here = {name for k, name in _registered if k == kind}
    return sorted(here | set(BUILTINS.get(kind, {})) | {entry.name for entry in _entry_points(kind)})


def find_registered_target(kind: str, name: str) -> str | None:
    """``module:attribute`` of a built-in or of what a package offers; None for what was registered in this process."""
    if (target := BUILTINS.get(kind, {}).get(name)) is not None:
        return target
    return next((entry.value for entry in _entry_points(kind) if entry.name == name), None)


def describe_origin(kind: str, name: str) -> str:
    """Where a name comes from, for listings: ``built in``, ``package <name>`` or the registering module."""
    if name in BUILTINS.get(kind, {}):
        return "built in"
    for entry in _entry_points(kind):
        if entry.name == name:
            return f"package {entry.dist.name}" if entry.dist else entry.value
    obj = _registered.get((kind, name))
    return f"module {getattr(obj, '__module__', '?')}" if obj is not None else "unknown"


def format_entry_point_group(kind: str) -> str:
    """The entry-point group in which packages offer a kind: ``mindgpt.losses``."""
    return f"mindgpt.{PLURALS[kind]}"


def find_misnamed_groups() -> list[str]:
    """What installed packages offer in groups that nothing reads, with the right group; empty when all is well."""
    known = [format_entry_point_group(kind) for kind in KINDS]
    found = []
    for wrong in sorted(importlib.metadata.entry_points().groups):
        if wrong.startswith("mindgpt.") and wrong not in known:
            right = difflib.get_close_matches(wrong, known, n=1, cutoff=0.0)[0]
            for entry in importlib.metadata.entry_points(group=wrong):
                owner = entry.dist.name if entry.dist else entry.value
                found.append(f"package {owner} offers {entry.name!r} in the group {wrong!r}; the group is {right!r}")
    return found


def load_plugins(modules: Iterable[str]) -> list[ModuleType]:
    """Import a recipe's ``plugins:`` (module names or paths to ``.py`` files) so that they register themselves.

    Called in every process that needs them, Ray workers included; loading twice is harmless. Paths should be absolute
    by then, because workers run elsewhere (the recipe loader makes them so).

    Raises:
        PluginError: a module is missing or raised on import; the message carries its name and error.
    """
    loaded = []
    for name in modules:
        try:
            loaded.append(_import_path(Path(name)) if name.endswith(".py") else importlib.import_module(name))
        except PluginError:
            raise
        except Exception as error:
            raise PluginError(
                f"plugin {name!r} raised on import: {type(error).__name__}: {error}. "
                "Fix the module or remove it from `plugins:`; a run never goes on without a plugin it lists."
            ) from error
    return loaded


def check_signature(kind: str, name: str, obj: Any) -> None:
    """Refuse a callable that the kind's caller could not call."""
    wanted = SIGNATURES.get(kind)
    if wanted is None:
        return
    if not callable(obj):
        raise RegistryError(f"{kind} {name!r} must be callable, got {type(obj).__name__}")
    positional, rest = [], []
    for parameter in inspect.signature(obj).parameters.values():
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            positional.append(parameter)
        elif parameter.kind is parameter.VAR_POSITIONAL:
            rest.append(parameter)
    if len(positional) != wanted or rest:
        shown = ", ".join(p.name for p in positional + rest) or "none"
        raise RegistryError(
            f"{kind} {name!r} must take exactly {wanted} positional parameter(s) and options as keyword-only "
            f"(after `*`); it takes: {shown}"
        )


def check_options(kind: str, name: str, options: Iterable[str]) -> None:
    """Refuse options (from a recipe) that the registered callable does not know.

    Raises:
        RegistryError: naming the unknown option and the nearest known one.
    """
    parameters = inspect.signature(get_registered(kind, name)).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    known = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    for option in options:
        if option not in known:
            raise RegistryError(
                f"{kind} {name!r} has no option {option!r}{hint_nearest(option, known)} "
                f"Known: {', '.join(known) or 'none'}."
            )


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise RegistryError(f"unknown kind {kind!r}{hint_nearest(kind, KINDS)} The kinds are: {', '.join(KINDS)}.")


def _entry_points(kind: str) -> Iterable[importlib.metadata.EntryPoint]:
    return importlib.metadata.entry_points(group=format_entry_point_group(kind))


def _origin(obj: Any) -> str:
    return f"{getattr(obj, '__module__', '?')}.{getattr(obj, '__qualname__', obj)}"


def _import_path(path: Path) -> ModuleType:
    path = path.expanduser().resolve()
    if not path.is_file():
        raise PluginError(
            f"plugin file {str(path)!r} does not exist (relative paths are taken from the recipe's folder)"
        )
    # One module per file, however often and from wherever it is asked for; the hash keeps equal stems apart.
    name = f"{PLUGIN_PREFIX}{path.stem}_{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
