"""Deterministic ids: the path as slugs, so that a label keeps its id whoever writes the tree and in whatever order."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Container


def make_slug(name: str) -> str:
    """``Disc brakes (front)`` → ``disc_brakes_front``; letters of any script are kept, a name without any is hashed."""
    words = re.findall(r"\w+", unicodedata.normalize("NFKC", name).casefold())
    return "_".join(words) or _hash(name)


def normalise_name(name: str) -> str:
    """What makes two names the same: case, blanks, hyphens and underscores do not count (``C`` and ``C++`` differ)."""
    return re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", name).casefold()).strip()


def make_child_id(parent: str | None, name: str, taken: Container[str]) -> str:
    """Id of a child: the parent's id and the name's slug; a short hash of the name is added when that is taken.

    Args:
        parent: id of the parent, None at level 1.
        name: its name; siblings have different names, but ``C`` and ``C++`` share a slug.
        taken: ids in use.
    """
    found = make_slug(name) if parent is None else f"{parent}.{make_slug(name)}"
    return found if found not in taken else f"{found}_{_hash(name)}"


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:6]
