"""Schema of the ``interpolate`` stage: θ0 + a·(θ1 − θ0) (2109.01903)."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mindgpt_plugins.core.schema import DatasetRef, ModelRef, StageConfig, Strict
from mindgpt_plugins.stages.evaluate.config import Groups

Alpha = Annotated[float, Field(ge=0, le=1)]


class ChooseAlpha(Strict):
    """Choose alpha on held-out rows: the best by `objective` among those in which no general group fell."""

    grid: list[Alpha] = Field(
        [0.25, 0.5, 0.75, 1.0], min_length=1, description="Values of alpha that are tried; 0 is always evaluated."
    )
    sets: list[DatasetRef] = Field(min_length=1, description="Dev sets, never the test set; the first one decides.")
    objective: Literal["domain", "mean"] = Field(
        "domain",
        description="What the chosen alpha is best at: accuracy on the domain, or the mean of domain and general.",
    )
    rows: int | None = Field(None, ge=1, description="Rows per set at most. Default: all of them.")
    general: list[str] = Field(["general"], description="Sources whose ability must be kept.")
    domain: list[str] = Field(["domain"], description="Sources that are to be learnt.")
    groups: Groups = Field("capability", description="What counts as one general group; l1, l2: levels of capability.")
    margin: float = Field(0.03, ge=0, description="Largest accepted loss per group, as a share (0.03 = 3 points).")
    batch_size: int = Field(128, ge=1, description="Replies that are generated at once.")
    max_new_tokens: int = Field(64, ge=1, description="Tokens of a reply at most.")


class InterpolateConfig(StageConfig):
    """A model between two others; `end` may be a LoRA adapter's folder, or both may be adapters of one base."""

    kind: Literal["interpolate"]
    start: ModelRef = Field(description="Model θ0 at alpha 0, e.g. the base.")
    end: ModelRef = Field(description="Model θ1 at alpha 1, e.g. the fine-tuned one.")
    alpha: Alpha | None = Field(None, description="Place between the two models; give this or `choose`.")
    choose: ChooseAlpha | None = Field(None, description="How alpha is chosen on held-out rows; give this or `alpha`.")

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.alpha is None) == (self.choose is None):
            raise ValueError("give either alpha or choose")
        return self
