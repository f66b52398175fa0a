"""The answer: valid layouts with their memory, sorted, and what ruled out the others."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from mindgpt_plugins.sizing import weights
from mindgpt_plugins.sizing.model import Model
from mindgpt_plugins.workbench.parallel import memory, preference, rollout, rules
from mindgpt_plugins.workbench.parallel.layouts import ParallelLayout
from mindgpt_plugins.workbench.parallel.request import GIB, ParallelRequest, RequestError, check_parallel_request

SPARE = 0.1
"""Share of the GPU that a layout should leave beyond the reserve: the figures are estimates."""


@dataclass(frozen=True)
class LayoutOption:
    """A valid layout.

    Attributes:
        layout: its sizes.
        training: memory of a training step.
        rollout: how replies are generated beside it; None for SFT.
        peak: bytes of the fullest moment of all, the reserve included.
        fits: whether that is within the GPU.
        tight: whether it fits with less than a tenth of the GPU to spare.
        seconds: the estimate that sorts, see :mod:`.preference`.
    """

    layout: ParallelLayout
    training: memory.Memory
    rollout: rollout.RolloutLayout | None
    peak: float
    fits: bool
    tight: bool
    seconds: float


@dataclass(frozen=True)
class ParallelPlan:
    """The whole answer; ``options`` are best first."""

    model: Model
    request: ParallelRequest
    parameters: int
    options: tuple[LayoutOption, ...]
    killed: Counter[str]

    @property
    def fitting(self) -> int:
        """How many layouts fit."""
        return sum(option.fits for option in self.options)


def make_parallel_plan(model: Model, request: ParallelRequest) -> ParallelPlan:
    """Plan a model.

    Raises:
        RequestError: the question makes no sense for this model, or no layout is valid; the rules are named.
    """
    check_parallel_request(request, model)
    for trainer in request.trainers:
        if request.recompute == "selective" and trainer != "verl-megatron":
            raise RequestError(
                f"--recompute selective: {trainer} checkpoints whole layers or nothing; choose none or full, or "
                "--trainer verl-megatron"
            )
    layouts, killed = rules.split_valid_layouts(model, request)
    if not layouts:
        raise RequestError(
            f"no layout of {request.gpus} GPUs is valid. Ruled out by: {'; '.join(rules.rank_broken_rules(killed))}"
        )
    options = sorted((_option(model, layout, request) for layout in layouts), key=_order)
    return ParallelPlan(
        model, request, weights.count_parameters(weights.list_model_weights(model)), tuple(options), killed
    )


def _option(model: Model, layout: ParallelLayout, request: ParallelRequest) -> LayoutOption:
    training = memory.estimate_training_memory(model, layout, request)
    peak, fits, generating = training.total, True, None
    if request.stage == "rl":
        generating = rollout.choose_rollout_layout(model, layout, request, training)
        peak = max(peak + rollout.ASLEEP, generating.resident + generating.weights + rollout.AWAKE)
        fits = generating.sequences >= 1
    peak += memory.compute_reserved_bytes(request)
    fits = fits and peak <= request.gpu_mem * GIB
    tight = fits and peak > (1 - SPARE) * request.gpu_mem * GIB
    return LayoutOption(
        layout, training, generating, peak, fits, tight, preference.estimate_step_seconds(model, layout, request)
    )


def _order(option: LayoutOption) -> tuple[bool, bool, float, float]:
    """What fits with room to spare, then what just fits, each by the estimated time; the rest by what is missing."""
    return (not option.fits, option.tight, option.seconds if option.fits else option.peak, option.peak)
