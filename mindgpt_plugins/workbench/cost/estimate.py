"""What the real run costs: steps, tokens, pictures, FLOPs and GPU-hours of each stage, with what was assumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mindgpt_plugins.pipeline.plan import Plan, PlannedStage
from mindgpt_plugins.sizing import gpus as cost_gpus
from mindgpt_plugins.sizing.flops import Sized
from mindgpt_plugins.sizing.gpus import CostError
from mindgpt_plugins.sizing.lengths import Lengths, NotYet, TokenCounter
from mindgpt_plugins.sizing.work import CostInputs
from mindgpt_plugins.workbench.cost import models as cost_models
from mindgpt_plugins.workbench.cost.sets import Sets


@dataclass(frozen=True)
class StageCost:
    """The cost of one stage.

    Attributes:
        stage: its name.
        kind: its kind.
        steps: optimizer steps.
        samples: sequences trained on, or replies written.
        tokens: of them, prompts and vision tokens included.
        images: pictures in them.
        flops: useful ones: recomputation is not among them.
        gpu_hours: at the stated MFU, decoding at the stated bandwidth.
        assumptions: one sentence each.
        counted: False: it does cost something, and the first assumption says why it is not known.
    """

    stage: str
    kind: str
    steps: int = 0
    samples: int = 0
    tokens: int = 0
    images: int = 0
    flops: float = 0.0
    gpu_hours: float = 0.0
    assumptions: list[str] = field(default_factory=list)
    counted: bool = True


def estimate_plan_cost(
    plan: Plan, *, gpu: str = "h100", mfu: float = 0.35, models: Mapping[str, Path] = {}, reply_share: float = 1.0
) -> list[StageCost]:
    """Estimate every stage of a plan; nothing runs and nothing is downloaded.

    Args:
        plan: as made by :mod:`mindgpt_plugins.pipeline.plan`.
        gpu: a name of :data:`~mindgpt_plugins.sizing.gpus.GPUS`.
        mfu: useful share of the GPU's peak in compute-bound parts, in (0, 1].
        models: hub id → local folder with config.json, and tokenizer and processor for exact tokens.
        reply_share: length of replies that are still to be written, as a share of their limit, in (0, 1].

    Raises:
        CostError: an unknown GPU, a share outside its range, a model that is no local folder, or a set without rows.
        mindgpt_plugins.sizing.model.ModelError: the sizes of an architecture are not known.
    """
    chosen = cost_gpus.find_gpu(gpu)
    for option, value in (("--mfu", mfu), ("--reply-share", reply_share)):
        if not 0 < value <= 1:
            raise CostError(f"{option} {value:g}: a share, above 0 and at most 1")
    sets = Sets(plan, reply_share)
    return [_cost(plan, one, sets, chosen, mfu, models) for one in plan.stages]


def _cost(
    plan: Plan, planned: PlannedStage, sets: Sets, gpu: cost_gpus.Gpu, mfu: float, models: Mapping[str, Path]
) -> StageCost:
    kind = planned.config.kind

    def look() -> tuple[Sized, Lengths]:
        folder, sized = cost_models.find_stage_model(plan, planned, models)
        context = planned.context
        ruler = TokenCounter(folder, sized.model, context.min_pixels, context.max_pixels)
        return sized, sets.lengths(planned, ruler)

    try:
        work = planned.stage.cost_rules().count_work(planned.config, planned.context, CostInputs(gpu, mfu, look))
    except NotYet as error:
        return StageCost(planned.name, kind, assumptions=[f"not counted: {error}"], counted=False)
    if work is None:
        said = f"not counted: kind {kind} says nothing about its cost"
        return StageCost(planned.name, kind, assumptions=[said], counted=False)
    seconds = work.compute / (mfu * gpu.tflops * 1e12) + work.decode_seconds
    return StageCost(
        stage=planned.name,
        kind=kind,
        steps=work.steps,
        samples=round(work.samples),
        tokens=round(work.tokens),
        images=round(work.images),
        flops=work.compute + work.decode,
        gpu_hours=seconds / 3600,
        assumptions=work.assumptions,
    )
