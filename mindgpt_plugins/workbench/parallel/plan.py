"""The answer: valid layouts with their memory, sorted, and what ruled out the others."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from mindgpt_plugins.sizing import weights
from mindgpt_plugins.sizing.model import Model
from mindgpt_plugins.workbench.parallel import memory, preference, rollout, rules
from mindgpt_plugins.workbench.parallel.layouts import Layout
from mindgpt_plugins.workbench.parallel.request import GIB, Request, RequestError, check

SPARE = 0.1
"""Share of the GPU that a layout should leave beyond the reserve: the figures are estimates."""


@dataclass(frozen=True)
class Option:
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

    layout: Layout
    training: memory.Memory
    rollout: rollout.Rollout | None
    peak: float
    fits: bool
    tight: bool
    seconds: float


@dataclass(frozen=True)
class Plan:
    """The whole answer; ``options`` are best first."""

    model: Model
    request: Request
    parameters: int
    options: tuple[Option, ...]
    killed: Counter[str]

    @property
    def fitting(self) -> int:
        """How many layouts fit."""
        return sum(option.fits for option in self.options)


def make(model: Model, request: Request) -> Plan:
    """Plan a model.

    Raises:
        RequestError: the question makes no sense for this model, or no layout is valid; the rules are named.
    """
    check(request, model)
    for trainer in request.trainers:
        if request.recompute == "selective" and trainer != "verl-megatron":
            raise RequestError(
                f"--recompute selective: {trainer} checkpoints whole layers or nothing; choose none or full, or "
                "--trainer verl-megatron"
            )
    layouts, killed = rules.split(model, request)
    if not layouts:
        raise RequestError(
            f"no layout of {request.gpus} GPUs is valid. Ruled out by: {'; '.join(rules.suggestions(killed))}"
        )
    options = sorted((_option(model, layout, request) for layout in layouts), key=_order)
    return Plan(model, request, weights.total(weights.of_model(model)), tuple(options), killed)


def _option(model: Model, layout: Layout, request: Request) -> Option:
    training = memory.train(model, layout, request)
    peak, fits, generating = training.total, True, None
    if request.stage == "rl":
        generating = rollout.choose(model, layout, request, training)
        peak = max(peak + rollout.ASLEEP, generating.resident + generating.weights + rollout.AWAKE)
        fits = generating.sequences >= 1
    peak += memory.reserve(request)
    fits = fits and peak <= request.gpu_mem * GIB
    tight = fits and peak > (1 - SPARE) * request.gpu_mem * GIB
    return Option(layout, training, generating, peak, fits, tight, preference.seconds(model, layout, request))


def _order(option: Option) -> tuple[bool, bool, float, float]:
    """What fits with room to spare, then what just fits, each by the estimated time; the rest by what is missing."""
    return (not option.fits, option.tight, option.seconds if option.fits else option.peak, option.peak)
