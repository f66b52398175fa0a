"""Content hashes: a stage is the same stage if its settings, its inputs and the code behind it are the same."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.schema import StageConfig
from mindgpt_plugins.recipe.schema import Recipe

#: Keys that say where or how a stage runs, not what it computes.
_IRRELEVANT = {"python"}


def stage_hash(recipe: Recipe, name: str, code: Iterable[str], inputs: Mapping[str, str]) -> str:
    """12 hex digits over the stage's resolved settings, the recipe's shared settings, its inputs and its code.

    Args:
        recipe: The validated recipe.
        name: The stage.
        code: Dotted packages of ours whose source the stage runs.
        inputs: Input stage → its own identity (hash and attempt).
    """
    config = recipe.stages[name]
    content = {
        "settings": settings(config),
        "shared": {
            "seed": recipe.seed if config.seed is None else config.seed,
            "image": recipe.image.model_dump(),
            "device": recipe.device,
        },
        "inputs": dict(inputs),
        "folders": {value: folder_stamp(path) for value, path in _outside_folders(recipe, name)},
        "plugins": {plugin: source_digest(plugin) for plugin in recipe.plugins},
        "code": {module: source_digest(module) for module in sorted(code)},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:12]


def settings(config: StageConfig) -> dict[str, Any]:
    """The part of a stage's settings that decides what it computes."""
    return {key: value for key, value in config.model_dump(mode="json").items() if key not in _IRRELEVANT}


@cache
def source_digest(module: str) -> str:
    """Hash of the source of a dotted module or package (imported or not), or of a ``.py`` file."""
    if module.endswith(".py"):
        files = [Path(module)]
    else:
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"module {module!r} is part of a stage but cannot be found")
        origin = Path(spec.origin)
        packaged = spec.submodule_search_locations is not None
        files = sorted(p for p in origin.parent.rglob("*") if p.is_file()) if packaged else [origin]
    digest = hashlib.sha256()
    for file in files:
        if "__pycache__" not in file.parts:
            digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def folder_stamp(folder: Path) -> str:
    """Cheap identity of a user's folder or file: names, sizes and modification times (not 60 GB of weights)."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
        if file.is_file():
            stat = file.stat()
            name = file.relative_to(folder) if folder.is_dir() else file.name
            digest.update(f"{name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _outside_folders(recipe: Recipe, name: str) -> Iterable[tuple[str, Path]]:
    for to, value in recipe.stages[name].references():
        if to == "path":
            path = recipe.folder / Path(value).expanduser()
            yield value, path if path.is_dir() else path.parent
            continue
        if to == "branches" and value not in recipe.stages:
            yield value, recipe.folder / Path(value).expanduser()
            continue
        head = value.rpartition("/")[0] if to == "dataset" else value
        if head not in recipe.stages and (recipe.folder / head).is_dir():
            yield value, recipe.folder / head
