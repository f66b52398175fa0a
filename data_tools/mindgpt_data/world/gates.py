"""The rendered world's own forms of two gates: exact, because it knows what its scenes show."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from mindgpt_data.gates.batch import sees_batch
from mindgpt_data.gates.duplicates import normalise
from mindgpt_data.gates.item import Item
from mindgpt_plugins.core import registry

Gate = Callable[[Item], str | None]


def duplicates(item: Item) -> str | None:
    """None to keep, else the reason. ``item.asked`` holds normalised questions."""
    return "question already asked about this image" if normalise(item.row.question) in item.asked else None


def decontaminate(item: Item) -> str | None:
    """None to keep, else the reason: nothing from an evaluation set, by exact pixels and by what the scene shows."""
    if item.image_hash in item.held_out:
        return "same picture as in a held-out set"
    if item.signature and item.signature in item.held_out:
        return "same scene as in a held-out set"
    return None


def gate(name: str) -> Gate:
    """The gate of that name as the world applies it.

    Raises:
        RegistryError: there is none, or it needs all rows at once.
    """
    exact: dict[str, Gate] = {"duplicates": duplicates, "decontaminate": decontaminate}
    if name in exact:
        return exact[name]
    found = registry.get("gate", name)
    if sees_batch(found):
        raise registry.RegistryError(
            f"gate {name!r} judges all rows together; the rendered world takes gates that judge one item"
        )
    return cast(Gate, found)
