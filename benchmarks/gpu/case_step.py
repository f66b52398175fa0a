"""A supervised step of Qwen3-VL-2B with random weights: stock, Hugging Face with Liger and packing, and ours.

float32 weights and optimizer under bfloat16 autocast, as ``bf16: true`` does in the Hugging Face Trainer; AdamW
(fused), gradients clipped to 1, no recomputation. All arms start from the same weights and see the same samples; the
loss of a step is the mean over its supervised tokens whichever way they are batched, so the curves must agree.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import arms
import torch
from arms import Arm
from clock import device, milliseconds, release, state_of
from model_2b import build, needs, raw
from packing import Step, packed, padded, samples
from results import Budget, Results

SECTION = "step"
MICRO, ROW, SAMPLES, CURVE, ROUNDS = 4, 4096, 32, 6, 4
"""Padded samples of a micro-batch, tokens of a packed row, samples and steps compared, timed rounds."""
RATE, TINY_RATE = 2e-5, 1e-4
"""Learning rates: one usual in fine-tuning, and one that moves the toy in a few steps."""
TOLERANCE = {"losses": 5e-3, "gradient_norms": 5e-2}
"""Largest relative difference to stock in any of the first steps, bfloat16; a step averages thousands of tokens."""
TINY_TOLERANCE = {"losses": 1e-3, "gradient_norms": 1e-2}
"""The same in float32."""


def run(results: Results, budget: Budget, tiny: bool) -> None:
    """First the curves and the memory of each arm from the same weights, then interleaved times."""
    config = raw(tiny)
    torch.manual_seed(0)
    model = build(tiny, str(device()))
    model.train()
    initial = {name: weight.detach().cpu().clone() for name, weight in model.named_parameters()}
    vision = config["vision_config"]
    pixels = vision["in_channels"] * vision["temporal_patch_size"] * vision["patch_size"] ** 2
    count, row, micro = (6, 64, 2) if tiny else (SAMPLES, ROW, MICRO)
    drawn = [samples(count, seed, config, tiny) for seed in (1, 2)]
    data = {
        True: [_moved(packed(one, row, pixels, 1000 * at)) for at, one in enumerate(drawn)],
        False: [_moved(padded(one, micro, pixels, 1000 * at)) for at, one in enumerate(drawn)],
    }
    found: dict[str, dict[str, Any]] = {}
    ready: dict[str, Arm] = {}
    for arm in arms.ARMS:
        if budget.spent(results, SECTION, arm=arm.name):
            continue
        with torch.no_grad():
            for name, weight in model.named_parameters():
                weight.copy_(initial[name])
        try:
            with arm.installed(model) as patches:
                found[arm.name] = {
                    "state": "ok",
                    "patches": patches,
                    **_curve(model, arm, data[arm.packed], budget, tiny),
                }
            ready[arm.name] = arm
        except ImportError as error:
            found[arm.name] = {"state": f"absent: {error}"}
        except Exception as error:
            found[arm.name] = {"state": state_of(error)}
        model.zero_grad()
        release()
    _judge(found, TINY_TOLERANCE if tiny else TOLERANCE)
    if torch.cuda.is_available():
        _time(model, ready, found, data, budget)
    lengths = [[len(one) for one in step] for step in drawn]
    patches_of = [[one.grid[0] * one.grid[1] for one in step] for step in drawn]
    supervised = [step.supervised for step in data[True]]
    operations = sum(needs(model, *args).total for args in zip(lengths, patches_of, supervised, strict=True)) / 2
    sizes = {"tokens": sum(map(sum, lengths)) / 2, "supervised": sum(supervised) / 2, "operations": operations}
    for name, one in found.items():
        results.add(SECTION, arm=name, **one, **sizes)


def _curve(model: Any, arm: Arm, steps: list[Step], budget: Budget, tiny: bool) -> dict[str, Any]:
    """Losses and gradient norms of the first steps, and the peak of those that have an optimizer state."""
    optimizer = _optimizer(model, TINY_RATE if tiny else RATE)
    losses, norms = [], []
    for index in range(CURVE):
        if index and budget.left() < 0:
            break
        loss, norm = _step(model, arm, steps[index % 2], optimizer, tiny)
        losses.append(float(loss))
        norms.append(float(norm))
        if index == 0 and torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
    peak = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
    return {"losses": losses, "gradient_norms": norms, "peak_bytes": peak}


def _optimizer(model: Any, rate: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=rate, fused=torch.cuda.is_available() or None)


def _step(model: Any, arm: Arm, step: Step, optimizer: Any, tiny: bool) -> tuple[torch.Tensor, torch.Tensor]:
    total = torch.zeros((), device=device())
    context: Callable[[], Any] = contextlib.nullcontext if tiny else lambda: torch.autocast("cuda", torch.bfloat16)
    for inputs, labels in step.batches:
        with context():
            loss = arm.loss(model, inputs, labels, step.supervised)
        loss.backward()
        total += loss.detach()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return total, norm


def _judge(found: dict[str, dict[str, Any]], tolerance: dict[str, float]) -> None:
    """Compare every curve with stock's, or with the first there is; an arm that is too far off is marked."""
    there = [one for one in found.values() if one["state"] == "ok"]
    for one in there:
        apart = {
            key: max(abs(a - b) / abs(b) for a, b in zip(one[key], there[0][key], strict=False)) for key in tolerance
        }
        far = [f"{key} {apart[key]:.1e} > {limit:.0e}" for key, limit in tolerance.items() if not apart[key] <= limit]
        one |= {"apart": apart, "tolerance": tolerance, "curve": f"differs: {', '.join(far)}" if far else "agrees"}


def _time(
    model: Any, ready: dict[str, Arm], found: dict[str, dict[str, Any]], data: dict[bool, list[Step]], budget: Budget
) -> None:
    """Both steps of the data in each round, after one that is not timed, the arms in turn."""
    optimizer = _optimizer(model, RATE)
    for _ in range(ROUNDS):
        for name in list(ready):
            if budget.left() < 0:
                return
            arm, steps = ready[name], data[ready[name].packed]
            try:
                with arm.installed(model):
                    _step(model, arm, steps[0], optimizer, False)

                    def both(arm: Arm = arm, steps: list[Step] = steps) -> None:
                        for one in steps:
                            _step(model, arm, one, optimizer, False)

                    # Mean of the two steps; the sizes in the row are means too.
                    found[name].setdefault("ms", []).append(milliseconds(both) / len(steps))
            except Exception as error:
                found[name]["state"] = state_of(error)
                del ready[name], error
                model.zero_grad()
                release()


def _moved(step: Step) -> Step:
    place = device()
    return Step(
        [({k: v.to(place) for k, v in inputs.items()}, labels.to(place)) for inputs, labels in step.batches],
        step.supervised,
    )
