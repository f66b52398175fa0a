"""Schema of the ``evaluate`` stage."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mindgpt_plugins.core.schema import DatasetRef, ModelRef, PathRef, Reference, Strict
from mindgpt_plugins.generation.config import GeneratingStage

EvaluationRef = Annotated[str, Reference("scores")]
"""Another ``evaluate`` stage, whose predictions are compared with this one's."""


class PassAtKSampling(Strict):
    """Samples beside the greedy replies, for pass@k."""

    n: int = Field(8, ge=1, description="Samples per prompt.")
    rows: int = Field(40, ge=0, description="Rows sampled per set, source and capability (fewer when there are fewer).")
    temperature: float = Field(1.0, gt=0, description="Sampling temperature.")


Groups = Literal["capability", "l1", "l2", "knowledge", "knowledge_l1", "knowledge_l2", "source"]
"""A label axis, or its first levels: l1 and l2 are those of capability."""


class GateExtension(Strict):
    """More training for a stage that failed the gate: `<stage>.more1`, judged by `<evaluation>.more1`, and so on."""

    steps: int = Field(ge=1, description="Optimizer steps of each extension, with a learning-rate schedule of its own.")
    times: int = Field(1, ge=1, description="Extensions at most, one after the other.")
    then: Literal["stop", "continue"] = Field("stop", description="When the gate still fails after the last one.")


class Gate(Strict):
    """Forgetting gate against earlier evaluations of the same sets."""

    before: EvaluationRef = Field(description="Evaluation of the base model, on the same sets.")
    peak: EvaluationRef | None = Field(None, description="Evaluation right after domain learning; for `keep_gain`.")
    set: str | None = Field(None, description="Name of the set to compare on; by default the first one.")
    groups: Groups = Field(
        "capability", description="What counts as one general group: a level of a label axis, or source."
    )
    margin: float = Field(0.03, ge=0, description="Largest accepted loss per group, as a share (0.03 = 3 points).")
    keep_gain: float = Field(0.8, ge=0, description="Share of the domain gain that must be left.")
    on_fail: Literal["stop", "continue", "extend"] = Field(
        "stop", description="extend: train the judged stage further (see `extend`) and judge again."
    )
    extend: GateExtension | None = Field(
        None, description="How the judged stage is trained further; with on_fail: extend, and only then."
    )

    @model_validator(mode="after")
    def _extension(self) -> Self:
        if (self.on_fail == "extend") != (self.extend is not None):
            raise ValueError("give `extend: {steps: …}` with `on_fail: extend`, and only then")
        return self


class Trees(Strict):
    """Label trees in any format that ``mindgpt data tree`` reads: file or folder per axis."""

    knowledge: PathRef | None = Field(None, description="Label tree of knowledge.")
    capability: PathRef | None = Field(None, description="Label tree of capability.")


class EvaluateConfig(GeneratingStage):
    """Accuracy, pass@k and reply length of one model on held-out sets."""

    kind: Literal["evaluate"]
    model: ModelRef = Field(description="Model that is evaluated.")
    sets: list[DatasetRef] = Field(min_length=1, description="Held-out sets, e.g. [world/dev, world/test].")
    rows: int | None = Field(None, ge=1, description="Rows per set at most. Default: all of them.")
    samples: PassAtKSampling | None = Field(
        PassAtKSampling(), description="Samples beside the greedy replies, for pass@k; null: greedy replies only."
    )
    blank: bool | Literal["all"] = Field(
        True, description="Also answer the sampled rows with the image blanked; all: every row."
    )
    general: list[str] = Field(["general"], description="Sources whose ability must be kept; a gate judges them.")
    domain: list[str] = Field(["domain"], description="Sources that are to be learnt.")
    gate: Gate | None = Field(
        None, description="What no general group may lose against an earlier evaluation; null: nothing is judged."
    )
    compare: EvaluationRef | None = Field(
        None, description="Earlier evaluation that every branch is compared with; by default `gate.before`."
    )
    tree: Trees | None = Field(None, description="Label trees, so that branches.json shows what was never asked.")
