"""Folders that only this tool fills, marked, so that what reads a user's folder leaves its own output out.

A runs folder often lies beside the pictures it was made from. Its name says nothing (``--runs``, ``--work``), and what
is in it looks like any folder of pictures; so each carries a file that says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from mindgpt_plugins.core.files import write_text

MARK = ".mindgpt-output"
_SAID = (
    "Everything in this folder was made by mindgpt. Whatever reads a folder of pictures from above leaves it out.\n"
    "To have it read, name this folder itself, or delete this file.\n"
)


def mark_own_folder(folder: Path) -> None:
    """Mark a folder that only this tool writes to; it is made."""
    if not (folder / MARK).is_file():
        write_text(folder / MARK, _SAID)


def walk_user_folder(
    folder: Path, onerror: Callable[[OSError], None] | None = None
) -> Iterator[tuple[str, list[str] | None]]:
    """Every folder below one (itself first, in order) with its file names, sorted; hidden ones are left alone.

    Folders that carry our mark come with None in place of names and are not entered, unless it is ``folder`` itself.

    Args:
        folder: where to start.
        onerror: gets the error of a folder that cannot be listed; None: such a folder is empty.
    """
    for at, folders, files in os.walk(folder, onerror=onerror):
        if MARK in files and at != str(folder):
            folders.clear()
            yield at, None
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield at, sorted(name for name in files if not name.startswith("."))
