"""The role algebra: what a recipe's rewards together say about a reply. The formula stands here and nowhere else.

With v the value of each reward (NaN: it did not score the reply) and w its weight at that point of the run, negative
for penalties::

    r = Σ w·v / Σ w       over the task rewards that scored the reply; min(r, 0) where a gate is shut (gave 0)
    g = r · (1 + Σ w·v)   over the modulators where the reply is correct (r ≥ 0.5); g = r elsewhere

So a modulator cannot turn wrong into right, and with right/wrong scores a correct reply always beats a wrong one as
long as the penalties add up to less than 1. A shut gate leaves 0, or the punishment. Source: ours, ``docs/rewards.md``.

All functions take NumPy arrays and torch tensors alike, of any one shape, usually (groups, n): reward workers score a
reply without torch, the trainer and ``mindgpt explain`` score steps and whole runs at once. Where a padded place of a
ragged group holds 0 in every component, its scores are 0.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mindgpt_plugins.rewards.sdk import CORRECT, Role

Array = Any
"""A NumPy array or a torch tensor of float64."""


@dataclass(frozen=True)
class CombinedScores:
    """Components of some replies and the scores that follow from them; all arrays have one shape."""

    roles: Mapping[str, Role]
    """Of every reward of the recipe, in its order."""
    weights: Mapping[str, Array]
    """Reward → signed weight: a number, or an array that broadcasts ((groups, 1) where groups are of several steps)."""
    components: Mapping[str, Array]
    """Reward → value; NaN where it did not score."""
    raw: Array
    """Gated task score r."""
    effects: Mapping[str, Array]
    """Modulator → what it adds to the factor of r; 0 for wrong replies."""
    modulated: Array
    """Modulated score g."""

    @property
    def correct(self) -> Array:
        """Bool: the reply counts as correct."""
        return self.raw >= CORRECT

    def without(self, name: str) -> CombinedScores:
        """The scores if one reward did nothing: a task gives 0 (its weight still counts), a gate is open.

        What is correct stays as it was: the other modulators touch the same replies as before.
        """
        raw = self.raw
        if self.roles[name] != "modulator":
            raw = compute_task_scores(self.roles, self.weights, self.components, without=name)
        effects = {key: value for key, value in self.effects.items() if key != name}
        weights = {**self.weights, name: self.weights[name] * 0.0}
        return CombinedScores(self.roles, weights, self.components, raw, effects, _modulate(raw, effects))


def compute_task_scores(
    roles: Mapping[str, Role], weights: Mapping[str, Array], components: Mapping[str, Array], *, without: str = ""
) -> Array:
    """Gated task scores r; NaN where no task reward scored, which no run goes on from.

    Args:
        roles: of every reward, in recipe order.
        weights: signed weight of every task.
        components: values of every task and gate; NaN where not scored.
        without: a task that is taken to give 0, or a gate to be open.
    """
    values = {name: components[name] for name, role in roles.items() if role != "modulator"}
    library = _library_of(values.values())
    zero = library.zeros_like(next(iter(values.values())))
    total, scale, shut = zero, zero, zero > 0.0
    for name, value in values.items():
        if roles[name] == "task":
            scored = value == value  # NaN is not
            # A number times bools would be float32 in torch: the weight is laid over float64 zeros first.
            scale = scale + library.where(scored, zero + weights[name], zero)
            if name != without:
                total = total + library.where(scored, weights[name] * value, zero)
        elif name != without:
            shut = shut | (value == 0.0)
    raw = total / library.where(scale > 0.0, scale, zero + 1.0)
    raw = library.where(shut & (raw > 0.0), zero, raw)
    return library.where(scale > 0.0, raw, zero + math.nan)


def combine_scores(
    roles: Mapping[str, Role], weights: Mapping[str, Array], components: Mapping[str, Array], raw: Array
) -> CombinedScores:
    """Modulate task scores.

    Args:
        roles: of every reward, in recipe order.
        weights: signed weight of every reward.
        components: values of every reward; NaN where not scored.
        raw: gated task scores, see :func:`compute_task_scores`.
    """
    library = _library_of([raw])
    zero = library.zeros_like(raw)
    effects = {}
    for name, role in roles.items():
        if role == "modulator":
            value = components[name]
            effects[name] = library.where((raw >= CORRECT) & (value == value), weights[name] * value, zero)
    return CombinedScores(roles, weights, components, raw, effects, _modulate(raw, effects))


def tabulate_components(names: Iterable[str], rows: Sequence[Mapping[str, float | None]]) -> dict[str, list[float]]:
    """Reward → one number per row, NaN where it did not score or the row does not name it."""
    return {name: [math.nan if (value := row.get(name)) is None else value for row in rows] for name in names}


def _modulate(raw: Array, effects: Mapping[str, Array]) -> Array:
    return raw * (1.0 + sum(effects.values()))


def _library_of(arrays: Iterable[Array]) -> Any:
    """NumPy or torch, whichever the arrays are of; the few functions needed here have one name in both."""
    return sys.modules[type(next(iter(arrays))).__module__]
