"""Settings of one stage while they are changed for a rehearsal; every change is written down with what it means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["smaller", "gpu only", "stand-in"]
"""smaller: the same thing with less of it. gpu only: not proven, because CPU cannot. stand-in: not proven, because
something else takes its place here."""
_ABSENT = object()


@dataclass(frozen=True)
class Change:
    """One difference between a recipe and its rehearsal.

    Attributes:
        stage: its stage; empty for what concerns all of them.
        key: dotted recipe key.
        before: value in the recipe.
        after: value in the rehearsal; None: taken out.
        kind: see :data:`Kind`.
        means: what is not proven because of it; empty for what is only smaller.
    """

    stage: str
    key: str
    before: Any
    after: Any
    kind: Kind
    means: str = ""


class Draft:
    """A stage's plain settings and the changes made to them.

    Args:
        name: of the stage; empty for the recipe's head.
        settings: as ``model_dump(mode="json")`` gives them; changed in place.
    """

    def __init__(self, name: str, settings: dict[str, Any]):
        self.name, self.settings = name, settings
        self.changes: list[Change] = []

    def get(self, key: str, default: Any = None) -> Any:
        """Value at a dotted key."""
        found: Any = self.settings
        for part in key.split("."):
            if not isinstance(found, dict) or part not in found:
                return default
            found = found[part]
        return found

    def set(self, key: str, value: Any, kind: Kind = "smaller", means: str = "") -> None:
        """Set a dotted key; a value that is there already is no change."""
        before = self.get(key, _ABSENT)
        if before == value:
            return
        *parents, last = key.split(".")
        place = self.settings
        for part in parents:
            place = place.setdefault(part, {})
        place[last] = value
        self.changes.append(Change(self.name, key, None if before is _ABSENT else before, value, kind, means))

    def most(self, key: str, value: int) -> None:
        """Bound a number from above; what is not set stays so."""
        before = self.get(key)
        if before is not None and before > value:
            self.set(key, value)

    def drop(self, key: str, kind: Kind, means: str) -> None:
        """Take a dotted key out if it is there."""
        parent, _, last = key.rpartition(".")
        place = self.get(parent) if parent else self.settings
        if isinstance(place, dict) and last in place:
            self.changes.append(Change(self.name, key, place.pop(last), None, kind, means))
