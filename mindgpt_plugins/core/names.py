"""Which text can be the name of a folder, or a path: told before a system call fails on it somewhere inside a run."""

from __future__ import annotations

LONGEST_NAME = 255
"""Bytes of a file's or folder's name: what ext4, XFS, tmpfs and NTFS take at most."""
LONGEST_PATH = 4095
"""Bytes of a path: Linux's PATH_MAX without the closing zero."""
ROOM = 55
"""Bytes that runs add to a name of a recipe or a stage: hash, attempt, ``.more1``, and what a temporary file has."""


def find_name_problem(name: str, longest: int = LONGEST_NAME) -> str | None:
    """Why text cannot be the name of a folder or a file, or ``None``.

    Args:
        name: the text.
        longest: bytes that it may have.
    """
    if not name or name in (".", ".."):
        return "cannot be a folder's name"
    if "/" in name:
        return "contains '/', which separates a folder and what is in it"
    if not name.isprintable():
        return "contains a control character or a character that cannot be written as UTF-8"
    if name != name.strip():
        return "begins or ends with a space"
    if (size := len(name.encode())) > longest:
        return f"has {size} bytes as UTF-8, and {longest} are the most that it may have"
    return None


def find_path_problem(path: str) -> str | None:
    """Why text cannot be a path on this machine, wherever it leads, or ``None``."""
    if not path:
        return "is empty; write . for the folder of the recipe"
    if "\0" in path:
        return "contains a NUL character"
    try:
        content = path.encode()
    except UnicodeEncodeError:
        return "contains a character that cannot be written as UTF-8"
    longest = max(len(part) for part in content.split(b"/"))
    if longest > LONGEST_NAME:
        return f"has a name of {longest} bytes in it, and file systems take {LONGEST_NAME} at most"
    if len(content) > LONGEST_PATH:
        return f"has {len(content)} bytes, and a path has {LONGEST_PATH} at most"
    return None


def shorten_text(text: str, most: int = 120) -> str:
    """Text for a message: the middle of what is longer than ``most`` characters is left out."""
    half = most // 2
    return text if len(text) <= most else f"{text[:half]}…{text[-half:]}"
