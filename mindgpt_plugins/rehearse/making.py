"""What becomes of stages that make data or a first model."""

from __future__ import annotations

from mindgpt_plugins.rehearse.draft import Draft

PICTURES, ITEMS = 24, 40


def world(draft: Draft) -> None:
    """Few pictures per source."""
    for name, one in draft.get("sets").items():
        for source, scenes in one["sources"].items():
            place = f"sets.{name}.sources.{source}"
            ratio = scenes["items"] / scenes["images"] if scenes["items"] is not None else None
            draft.most(f"{place}.images", PICTURES)
            if ratio is not None:
                draft.most(f"{place}.items", max(PICTURES, min(ITEMS, round(ratio * PICTURES))))
