"""How a host's function is replaced: only the one a patch was written for, once, and reversibly."""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.abc
import importlib.util
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NamedTuple

from mindgpt_patches import PatchRefused

_MARK = "__mindgpt_patch__"


def fingerprint_function(function: Any) -> str:
    """Twelve hex digits of a function's source; another release that did not touch it has the same."""
    source = textwrap.dedent(inspect.getsource(inspect.unwrap(function)))
    return hashlib.sha256(source.encode()).hexdigest()[:12]


def replace_function(owner: Any, name: str, known: Mapping[str, str], make: Callable[[Any], Any]) -> None:
    """Replace ``owner.name`` by ``make(original)``; a second time does nothing.

    Args:
        owner: module or class of the host.
        name: attribute.
        known: fingerprint of each original the patch was tested with → releases that have it.
        make: from the original to ours.

    Raises:
        PatchRefused: the attribute is missing, another package's, or its source is not a known one.
    """
    original = getattr(owner, name, None)
    where = f"{owner.__module__}.{owner.__qualname__}" if inspect.isclass(owner) else owner.__name__
    if getattr(original, _MARK, False):
        return
    supported = ", ".join(sorted(set(known.values())))
    if original is None:
        raise PatchRefused(f"{where}.{name} does not exist; this patch is for {supported}")
    found = fingerprint_function(original)
    if found not in known:
        raise PatchRefused(f"{where}.{name} is not the one this patch is for ({supported}); its source is {found}")
    new = functools.wraps(original)(make(original))
    setattr(new, _MARK, True)
    setattr(owner, name, new)


def restore_function(owner: Any, name: str) -> None:
    """Undo :func:`replace_function`."""
    current = getattr(owner, name)
    if getattr(current, _MARK, False):
        setattr(owner, name, current.__wrapped__)


class Place(NamedTuple):
    """A function of a host and what takes its place; the arguments of :func:`replace_function`."""

    owner: Any
    name: str
    known: Mapping[str, str]
    make: Callable[[Any], Any]


def list_method_places(
    classes: Mapping[str, str], name: str, known: Mapping[str, str], make: Callable[[Any], Any]
) -> list[Place]:
    """The method ``name`` of one class in each of several modules (dotted module → class), which are imported."""
    owners = [getattr(importlib.import_module(module), owner) for module, owner in classes.items()]
    return [Place(owner, name, known, make) for owner in owners]


def replace_places(places: Iterable[Place]) -> None:
    """:func:`replace_function` in every place, or in none.

    Raises:
        PatchRefused: one refuses; the originals are in all of them.
    """
    done: list[Place] = []
    try:
        for place in places:
            replace_function(*place)
            done.append(place)
    except PatchRefused:
        restore_places(done)
        raise


def restore_places(places: Iterable[Place]) -> None:
    """Undo :func:`replace_places`."""
    for place in places:
        restore_function(place.owner, place.name)


class _AfterImport(importlib.abc.MetaPathFinder):
    """Calls a function once a module has been imported."""

    def __init__(self, module: str, action: Callable[[], None]):
        self.module, self.action = module, action

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.module:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)  # others may be waiting for the same module
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            self.action()

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def run_after_import(module: str, action: Callable[[], None]) -> None:
    """Call ``action`` now if ``module`` is loaded, else right after its import, so that other processes stay light."""
    if module in sys.modules:
        action()
    else:
        sys.meta_path.insert(0, _AfterImport(module, action))
