"""``dynamic``: shares that follow how each group fares, bounded around the declared ones.

In the spirit of MindGPT-4ov's collaborative training; the form is ours:
w_g ∝ base_g · exp(η · clip(loss of ability since the reference, ±scale) / scale), proportional to the present deficit
rather than accumulated, so that it cannot wind up.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from mindgpt_plugins.core.registry import hint_nearest
from mindgpt_plugins.curriculum.examples import CurriculumError, require_same_settings
from mindgpt_plugins.curriculum.mixture import MixtureChange, Moving, check_weights

Signal = Literal["train_loss", "eval_loss", "eval_accuracy"]


class Dynamic(Moving):
    """Gives more to groups that got worse than their reference and less to those that got better.

    A measurement after step t acts from step t + ``delay`` on (the next window of a sampler that plans in windows):
    batches up to there may already have been fetched. The shares at any step follow from the recorded changes alone.

    Args:
        names: group names.
        sizes: number of examples of each group.
        weights: group name → base weight ≥ 0; groups not named get 0 and keep it.
        signal: ``train_loss`` of each group; ``eval_loss`` or ``eval_accuracy`` on the sets of ``probes``.
        probes: group name → name of the evaluation set that measures it, for the ``eval_`` signals (default: its own
            name); a group without a measurement keeps its base weight.
        reference: group name → value to compare with; default: its first measurement.
        eta: strength; the factor stays within exp(±eta).
        scale: difference, in the signal's unit, at which the factor reaches its bound.
        floor: least share of a group that has a weight.
        every: steps between updates from ``train_loss``; evaluations come when the host evaluates.
        delay: steps from a measurement to its effect.

    Raises:
        CurriculumError: a wrong weight, group or option.
    """

    only_named = True

    def __init__(
        self,
        names: Sequence[str],
        sizes: Sequence[int],
        *,
        weights: Mapping[str, float],
        signal: Signal = "train_loss",
        probes: Mapping[str, str] | None = None,
        reference: Mapping[str, float] | None = None,
        eta: float = 0.5,
        scale: float = 0.1,
        floor: float = 0.02,
        every: int = 50,
        delay: int = 10,
    ):
        super().__init__(names, sizes)
        check_weights("mixture", weights, names, sizes)
        if signal not in ("train_loss", "eval_loss", "eval_accuracy"):
            raise CurriculumError(f"mixture: signal {signal!r} is none of train_loss, eval_loss, eval_accuracy")
        if not eta > 0 or not scale > 0:
            raise CurriculumError(f"mixture: eta and scale must be positive, got {eta} and {scale}")
        if every < 1 or delay < 1:
            raise CurriculumError(f"mixture: every and delay are steps, at least 1; got {every} and {delay}")
        for option, given in (("probes", probes), ("reference", reference)):
            for name in given or {}:
                if name not in names:
                    raise CurriculumError(
                        f"mixture.{option}: no examples come from {name!r}{hint_nearest(name, names)} "
                        f"Known: {', '.join(names)}"
                    )
        if probes is not None and signal == "train_loss":
            raise CurriculumError("mixture.probes: goes with signal eval_loss or eval_accuracy, not train_loss")
        total = sum(weights.values())
        self.base = [weights.get(name, 0.0) / total for name in names]
        active = sum(share > 0 for share in self.base)
        if not 0 <= floor * active <= 1:
            raise CurriculumError(f"mixture: floor {floor} for each of {active} groups exceeds the whole")
        self.signal, self.every, self.delay = signal, every, delay
        self.probes = dict(probes) if probes is not None else {name: name for name in names}
        self.eta, self.scale, self.floor = eta, scale, floor
        self.reference = dict(reference or {})
        self._given = {"weights": dict(weights), "signal": signal, "probes": self.probes, "reference": reference}
        self.changes: list[MixtureChange] = []

    def shares_at(self, step: int) -> list[float]:
        """Shares of the latest change that acts at the step, else the base."""
        found = bisect_right(self.changes, step, key=lambda change: change.from_step)
        return list(self.changes[found - 1].shares) if found else list(self.base)

    def planned_at(self, step: int) -> list[float]:
        """The base shares: what will be measured is not known."""
        return list(self.base)

    def measured(self, done: int, values: Mapping[str, float]) -> MixtureChange | None:
        """Take a measurement after ``done`` steps; groups that are missing or not finite keep their base weight.

        Returns:
            The change, or ``None`` when the shares stay what they are.
        """
        known = {name: value for name, value in values.items() if math.isfinite(value)}
        for name, value in known.items():
            self.reference.setdefault(name, value)
        shares = tuple(self._reweighted(known))
        before = self.changes[-1].shares if self.changes else tuple(self.base)
        if shares == before:
            return None
        change = MixtureChange(done, self.clock.window_start(done + self.delay, self.window), shares)
        # An update before the last one has come into effect replaces it from then on.
        self.changes = [c for c in self.changes if c.from_step < change.from_step] + [change]
        return change

    def bounds(self) -> list[tuple[float, float]]:
        """Least and largest share each group can get."""
        span = math.exp(self.eta)
        result = []
        for share in self.base:
            low, high = (share * f / (share * f + (1 - share) / f) for f in (1 / span, span))
            result.append((max(low, self.floor), min(1.0, max(high, self.floor))) if share else (0.0, 0.0))
        return result

    def state_dict(self) -> dict[str, Any]:
        """Settings, references and the changes so far."""
        return {
            **super().state_dict(),
            **self._settings(),
            "references": self.reference,
            "changes": [[c.measured, c.from_step, list(c.shares)] for c in self.changes],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore references and changes.

        Raises:
            CurriculumError: the checkpoint was written with other groups or settings.
        """
        require_same_settings("mixture", {**super().state_dict(), **self._settings()}, state)
        self.reference = dict(state["references"])
        self.changes = [MixtureChange(measured, step, tuple(shares)) for measured, step, shares in state["changes"]]

    def _settings(self) -> dict[str, Any]:
        options = ("eta", "scale", "floor", "every", "delay")
        return {**self._given, **{option: getattr(self, option) for option in options}}

    def _reweighted(self, values: Mapping[str, float]) -> list[float]:
        weights = []
        for name, base in zip(self.names, self.base, strict=True):
            lost = values[name] - self.reference[name] if name in values else 0.0
            lost = -lost if self.signal == "eval_accuracy" else lost
            weights.append(base * math.exp(self.eta * min(self.scale, max(-self.scale, lost)) / self.scale))
        return apply_weight_floor(weights, self.floor)


def apply_weight_floor(weights: Sequence[float], floor: float) -> list[float]:
    """Scale weights to sum 1 with every positive one at least ``floor``; the others give way in proportion."""
    at_floor: set[int] = set()
    while True:
        rest = sum(w for k, w in enumerate(weights) if k not in at_floor)
        room = 1.0 - floor * len(at_floor)
        shares = [floor if k in at_floor else (w / rest * room if rest else 0.0) for k, w in enumerate(weights)]
        low = {k for k, w in enumerate(weights) if w > 0 and k not in at_floor and shares[k] < floor}
        if not low:
            return shares
        at_floor |= low
