"""Which Python runs something, from what a recipe names."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.core.names import find_path_problem, shorten_text


def resolve_interpreter(named: str | None, folder: Path, key: str) -> str:
    """Absolute path of an interpreter.

    Args:
        named: a path relative to the recipe (``env/verl/bin/python``), a command on the PATH, or None: the current one.
        folder: of the recipe.
        key: recipe key, for the message.

    Raises:
        StageError: it does not exist, or is no program.
    """
    if named is None:
        return sys.executable
    if odd := find_path_problem(named):
        raise StageError(f"{key}: interpreter {shorten_text(named)!r} {odd}")
    local = folder / named
    if "/" in named and local.is_file():
        if not os.access(local, os.X_OK):
            raise StageError(f"{key}: interpreter {named!r} is no program (it is not executable)")
        return str(local.absolute())  # not resolve(): a virtual environment's python is a link that must stay one
    found = shutil.which(named)
    if found is None:
        raise StageError(f"{key}: interpreter {named!r} does not exist")
    return found
