"""Gate ``decontaminate``: nothing from an evaluation set, by exact pixels and by what the scene shows (ours)."""

from __future__ import annotations

from mindgpt_data.gates.item import Item


def decontaminate(item: Item) -> str | None:
    """None to keep, else the reason."""
    if item.image_hash in item.held_out:
        return "same picture as in a held-out set"
    if item.signature and item.signature in item.held_out:
        return "same scene as in a held-out set"
    return None
