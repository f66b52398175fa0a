"""Settings of the focus: which branch file, what counts as weak, and how much more weak leaves get."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from mindgpt_plugins.core.schema import Reference, Strict

BranchesRef = Annotated[str, Reference("branches")]
"""An earlier ``evaluate`` stage, or the ``branches.json`` that one wrote (relative to the recipe)."""


class FocusSettings(Strict):
    """Weak leaves raise their deficit: matching, budget and generation go there."""

    file: BranchesRef = Field(description="An earlier evaluate stage (in a recipe), or the branches.json it wrote.")
    set: str | None = Field(None, description="Only this evaluated set counts, e.g. dev: never steer by a test set.")
    target: float = Field(
        0.8, gt=0, le=1, description="A leaf is weak when the lower bound of its accuracy is under this."
    )
    strength: float = Field(4.0, gt=0, description="Weight = 1 + strength × (target - low) / target.")
    max_weight: float = Field(4.0, gt=1, description="No leaf, and no picture, weighs more than this.")
    prior: float = Field(
        20.0, ge=0, description="Answers at which a leaf's own bound counts as much as its parent's; 0: only its own."
    )
    nothing_weak: Literal["stop", "continue"] = Field(
        "stop", description="When every branch reaches the target: stop, or continue without a focus."
    )


def _from_text(value: Any) -> Any:
    return {"file": value} if isinstance(value, str) else value


Focused = Annotated[
    FocusSettings | None, BeforeValidator(_from_text, json_schema_input_type=FocusSettings | str | None)
]
"""Focus settings, or the file (or stage) alone; None: no focus."""
