"""Which Python runs something, from what a recipe names."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from mindgpt_plugins.core.errors import StageError


def resolve_interpreter(named: str | None, folder: Path, key: str) -> str:
    """Absolute path of an interpreter.

    Args:
        named: a path relative to the recipe (``env/verl/bin/python``), a command on the PATH, or None: the current one.
        folder: of the recipe.
        key: recipe key, for the message.

    Raises:
        StageError: it does not exist.
    """
    if named is None:
        return sys.executable
    local = folder / named
    if "/" in named and local.is_file():
        return str(local.absolute())  # not resolve(): a virtual environment's python is a link that must stay one
    found = shutil.which(named)
    if found is None:
        raise StageError(f"{key}: interpreter {named!r} does not exist")
    return found
