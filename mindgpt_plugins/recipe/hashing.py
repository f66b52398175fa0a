"""Content hashes: a stage is the same stage if its settings, its inputs, what it reads and the code behind it are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from mindgpt_plugins.core.schema import dump_hashed
from mindgpt_plugins.core.sources import digest_source
from mindgpt_plugins.recipe.schema import Recipe


def collect_identity(
    recipe: Recipe, name: str, code: Mapping[str, str], inputs: Mapping[str, str], reads: Mapping[str, str]
) -> dict[str, Any]:
    """Everything that makes a stage what it is, as plain data, so that two can be compared part by part.

    Args:
        recipe: The validated recipe.
        name: The stage.
        code: Module → digest of everything the stage runs.
        inputs: Input stage → its own identity (hash and attempt).
        reads: Reference to the outside → digest of the files that are read under it.
    """
    config = recipe.stages[name]
    return {
        "settings": dump_hashed(config),
        "seed": recipe.seed if config.seed is None else config.seed,
        "image": recipe.image.model_dump(),
        "thinking": recipe.thinking,
        "device": recipe.device,
        "stages": dict(inputs),
        "reads": dict(reads),
        "plugins": {plugin: digest_source(plugin) for plugin in recipe.plugins},
        "code": dict(code),
    }


def hash_identity(identity: Mapping[str, Any]) -> str:
    """12 hex digits over a stage's identity."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()[:12]
