"""Content hashes: a stage is the same stage if its settings, its inputs and the code behind it are the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.schema import StageConfig
from mindgpt_plugins.core.sources import digest_source, stamp_folder
from mindgpt_plugins.recipe.schema import Recipe

#: Keys that say where a stage runs, or when it is stopped, not what it computes.
_IRRELEVANT = {"python", "guard"}


def hash_stage(recipe: Recipe, name: str, code: Mapping[str, str], inputs: Mapping[str, str]) -> str:
    """12 hex digits over the stage's resolved settings, the recipe's shared settings, its inputs and its code.

    Args:
        recipe: The validated recipe.
        name: The stage.
        code: Module → digest of everything the stage runs.
        inputs: Input stage → its own identity (hash and attempt).
    """
    config = recipe.stages[name]
    content = {
        "settings": select_hashed_settings(config),
        "shared": {
            "seed": recipe.seed if config.seed is None else config.seed,
            "image": recipe.image.model_dump(),
            "device": recipe.device,
        },
        "inputs": dict(inputs),
        "folders": {value: stamp_folder(path) for value, path in _outside_folders(recipe, name)},
        "plugins": {plugin: digest_source(plugin) for plugin in recipe.plugins},
        "code": dict(code),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:12]


def select_hashed_settings(config: StageConfig) -> dict[str, Any]:
    """The part of a stage's settings that decides what it computes."""
    return {key: value for key, value in config.model_dump(mode="json").items() if key not in _IRRELEVANT}


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
