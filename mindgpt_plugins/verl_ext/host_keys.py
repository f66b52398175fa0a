"""Holds a recipe's ``verl:`` keys against verl's own configuration, composed by Hydra from the installed YAML files.

verl itself is not imported (that takes seconds); its folder is found and given to Hydra as a search path. Hydra refuses
keys that do not exist, but not ``trainer.save_freq=often``: the files say no types, so a value is held against verl's
default at the same place. Where that is null, or taken from another key, anything may stand.
"""

from __future__ import annotations

import difflib
import functools
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.registry import hint_nearest

_WHERE = "import importlib.util as u; s = u.find_spec('verl'); print(s.submodule_search_locations[0] if s else '')"
_NUMBER = (int, float)


@functools.cache
def find_verl_folder(python: str) -> Path | None:
    """Where an interpreter has verl; ``None`` when it has none. Nothing of verl is run."""
    if python == sys.executable:
        spec = importlib.util.find_spec("verl")
        found = spec.submodule_search_locations[0] if spec is not None and spec.submodule_search_locations else ""
    else:
        done = subprocess.run([python, "-c", _WHERE], capture_output=True, text=True, timeout=60)
        found = done.stdout.strip()
    return Path(found) if found else None


def find_verl_key_problems(
    name: str, given: Mapping[str, Any], places: Mapping[str, str], overrides: Sequence[str], verl: Path
) -> list[str]:
    """What verl's configuration does not take.

    Args:
        name: of our configuration: ``mindgpt``, ``mindgpt_cpu`` or ``mindgpt_megatron``.
        given: flattened key, with its ``+`` where it has one → value.
        places: the same key → where the recipe says it, for messages.
        overrides: the whole command line, which Hydra composes when nothing else was found.
        verl: folder of the package.
    """
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    plain = _compose_defaults(name, verl)
    found = [f"{places[key]}: {fault}" for key, value in given.items() if (fault := _find_fault(key, value, plain))]
    if found:
        return found
    try:
        _compose(name, overrides, verl)
    except (HydraException, OmegaConfBaseException) as error:
        return [f"verl: Hydra refuses the settings: {' '.join(str(error).split())}"]
    return []


@functools.cache
def _compose_defaults(name: str, verl: Path) -> Any:
    return _compose(name, (), verl)


def _compose(name: str, overrides: Sequence[str], verl: Path) -> Any:
    """The configuration as plain data, interpolations unresolved."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import OmegaConf

    GlobalHydra.instance().clear()
    folder = Path(__file__).resolve().parent / "conf"
    search = f"hydra.searchpath=[file://{verl / 'trainer' / 'config'}]"
    with initialize_config_dir(str(folder), version_base=None):
        return OmegaConf.to_container(compose(name, overrides=[search, *overrides]), resolve=False)


def _find_fault(key: str, value: Any, plain: Any) -> str | None:
    """Why a key or its value does not fit, or ``None``."""
    added, parts = key.startswith("+"), key.lstrip("+").split(".")
    at = plain
    for depth, part in enumerate(parts):
        if at is None or (isinstance(at, str) and at.startswith("${")):
            return None if added else f"verl has no key below {'.'.join(parts[:depth])}, which is {at or 'null'}"
        if not isinstance(at, Mapping):
            return f"verl's {'.'.join(parts[:depth])} is {at!r} and has no keys of its own"
        if part not in at:
            if added:
                return None
            where = ".".join(parts[:depth])
            hint = hint_nearest(part, map(str, at)) or _hint_elsewhere(part, where, plain)
            return (
                f"verl has no key {part!r} in {where or 'its configuration'}{hint} (+{part} adds one that only code of "
                "your own reads)"
            )
        at = at[part]
    if added and not key.startswith("++") and at is not None and not isinstance(at, (Mapping, list)):
        return f"verl has this key ({at!r} by default), and + only adds new ones; write it without +"
    return describe_default_misfit(value, at)


def _hint_elsewhere(part: str, where: str, plain: Any) -> str:
    """``"; did you mean a.b.c?"`` for the like-named key that is nearest to where it was looked for."""
    names = {path: path.rpartition(".")[2] for path in _list_paths(plain, "")}
    close = difflib.get_close_matches(part, set(names.values()), n=1, cutoff=0.8)
    found = [path for path, name in names.items() if close and name == close[0]]
    if not found:
        return ""
    return f"; did you mean {max(found, key=lambda path: len(os.path.commonprefix([path, where])))!r}?"


def _list_paths(plain: Any, place: str) -> Iterator[str]:
    for key, value in plain.items() if isinstance(plain, Mapping) else ():
        yield f"{place}{key}"
        yield from _list_paths(value, f"{place}{key}.")


def describe_default_misfit(value: Any, default: Any) -> str | None:
    """Why a value cannot stand where verl has a default, or ``None``."""
    if value is None or default is None or _taken_from_elsewhere(value) or _taken_from_elsewhere(default):
        return None
    kind, wanted = _name_kind(value), _name_kind(default)
    if kind == wanted or {kind, wanted} == {"text", "a list"}:  # verl takes one name for a list of names, and lists
        return None
    if kind == "a number" and wanted == "text":
        return None  # a name may be a number
    hint = "; YAML reads 1e-6 as text, write 1.0e-6" if wanted == "a number" and _reads_as_number(value) else ""
    return f"must be {wanted} as verl's default {default!r} is, got {kind}: {value!r}{hint}"


def _reads_as_number(value: Any) -> bool:
    try:
        return isinstance(value, str) and float(value) is not None
    except ValueError:
        return False


def _taken_from_elsewhere(value: Any) -> bool:
    return isinstance(value, str) and ("${" in value or value == "???")


def _name_kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, _NUMBER):
        return "a number"
    if isinstance(value, Mapping):
        return "a mapping"
    return "text" if isinstance(value, str) else "a list"
