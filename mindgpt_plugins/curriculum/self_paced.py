"""``self_paced``: easy to hard by the model's own running loss, measured while it trains.

In the spirit of self-paced learning (Kumar et al. 2010): only samples whose loss is below a threshold are open, and
the threshold grows. Ours: it grows within each epoch through the quantiles c(t) of the running losses, and drawing is
without replacement, so that every example is still trained on once per epoch. The first epoch is shuffled: it measures.
"""

from __future__ import annotations

import base64
import math
from array import array
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from mindgpt_plugins.curriculum.base import Clock, CurriculumError, Examples, Mixture, Sampler, interleave_groups
from mindgpt_plugins.curriculum.easy_to_hard import Pacing, compute_competence, draw_paced_order


class SelfPaced(Sampler):
    """Low-loss examples first; an epoch's order follows from the losses recorded before it began.

    Args:
        examples: the training set.
        seed: of every random choice.
        mixture: how many of each group an epoch holds; ``None``: every example exactly once. Not a moving one.
        by: rank each ``sample`` by its own loss within its source, or whole sources by theirs.
        pacing: how the threshold's quantile grows within an epoch, ``linear`` or ``root``.
        start: quantile of the losses below which examples are open at the beginning of an epoch.
        momentum: weight of the past in the running loss, in [0, 1).
    """

    needs_losses = True

    def __init__(
        self,
        examples: Examples,
        seed: int,
        mixture: Mixture | None = None,
        *,
        by: Literal["sample", "source"] = "sample",
        pacing: Pacing = "root",
        start: float = 0.1,
        momentum: float = 0.5,
    ):
        if by not in ("sample", "source"):
            raise CurriculumError(f"self_paced: by {by!r} is neither 'sample' nor 'source'")
        if pacing not in ("linear", "root"):
            raise CurriculumError(f"self_paced: pacing {pacing!r} is neither 'linear' nor 'root'")
        if not 0.0 < start <= 1.0 or not 0.0 <= momentum < 1.0:
            raise CurriculumError(f"self_paced: start is in (0, 1] and momentum in [0, 1), got {start} and {momentum}")
        if mixture is not None and mixture.moves:
            raise CurriculumError("self_paced: goes with a fixed mixture only, not one that changes from step to step")
        super().__init__(examples, seed, mixture)
        self.measures = by
        self.pacing, self.start, self.momentum = pacing, start, momentum
        size = len(examples) if by == "sample" else len(examples.names)
        self._running = array("f", [math.nan]) * size
        self._ranking = array("f", self._running)
        self._ranked_epoch = 0

    def attach(self, clock: Clock) -> None:
        """Learn the run's clock.

        Raises:
            CurriculumError: the run ends with the first epoch.
        """
        super().attach(clock)
        if clock.total_steps <= clock.steps_per_epoch:
            raise CurriculumError(
                f"self_paced: the run has one epoch ({clock.total_steps} of {clock.steps_per_epoch} steps), which only "
                "measures; train longer or use easy_to_hard"
            )

    def record(self, ids: Sequence[int], losses: Sequence[float]) -> None:
        """Update running losses of examples (``by: sample``) or groups (``source``); non-finite losses are left out."""
        for i, loss in zip(ids, losses, strict=True):
            if math.isfinite(loss):
                old = self._running[i]
                self._running[i] = loss if math.isnan(old) else self.momentum * old + (1.0 - self.momentum) * loss

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; a later one than before ranks by the losses recorded so far."""
        if epoch > self._ranked_epoch:
            self._ranking = array("f", self._running)
            self._ranked_epoch = epoch
        super().set_epoch(epoch)

    def arrange(self, selected: list[list[int]], epoch: int) -> list[int]:
        """Rank by running loss (ties at random), draw by competence; unmeasured examples take the median's place.

        Raises:
            CurriculumError: the epoch is not the current one, so that its losses are not known (any more).
        """
        if epoch == 0 or epoch == self._ranked_epoch:
            ranking = self._ranking if epoch else array("f", [math.nan]) * len(self._ranking)
        else:
            raise CurriculumError(
                f"self_paced: the order of epoch {epoch} follows from the losses of the epochs before it"
            )
        if self.measures == "source":
            return self._by_source(selected, ranking, epoch)
        lessons = []
        for k, group in enumerate(selected):
            rng = self.random("self_paced", k, epoch)
            ranked = list(group)
            rng.shuffle(ranked)
            values = [ranking[position] for position in ranked]
            lessons.append(self._paced(ranked, values, rng))
        return interleave_groups(lessons)

    def threshold(self, progress: float) -> float | None:
        """Running loss (nats) below which examples are open at ``progress`` ∈ [0, 1] of the current epoch."""
        known = sorted(x for x in self._ranking if not math.isnan(x)) if self._ranked_epoch else []
        if not known:
            return None
        return known[min(len(known), math.ceil(len(known) * compute_competence(progress, self.start, self.pacing))) - 1]

    def state_dict(self) -> dict[str, Any]:
        """As every sampler's, and the losses."""
        return {
            **super().state_dict(),
            "ranked_epoch": self._ranked_epoch,
            "ranking": _packed(self._ranking),
            "running": _packed(self._running),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore, the losses included.

        Raises:
            CurriculumError: the checkpoint was written with another dataset, seed or setting.
        """
        super().load_state_dict(state)
        self._ranking, self._running = _unpacked(state["ranking"]), _unpacked(state["running"])
        self._ranked_epoch = int(state["ranked_epoch"])

    def options(self) -> dict[str, Any]:
        """The settings that change the order."""
        return {"by": self.measures, "pacing": self.pacing, "start": self.start, "momentum": self.momentum}

    def _by_source(self, selected: list[list[int]], ranking: Sequence[float], epoch: int) -> list[int]:
        rng = self.random("self_paced", epoch)
        ranked = [position for group in selected for position in group]
        rng.shuffle(ranked)
        return self._paced(ranked, [ranking[self.examples.group[position]] for position in ranked], rng)

    def _paced(self, shuffled: list[int], losses: list[float], rng: Any) -> list[int]:
        known = sorted(x for x in losses if not math.isnan(x))
        if not known:
            return shuffled
        median = known[len(known) // 2]
        keyed = [(median if math.isnan(loss) else loss, place) for place, loss in enumerate(losses)]
        return draw_paced_order([shuffled[place] for _, place in sorted(keyed)], self.start, self.pacing, rng)


def _packed(values: array[float]) -> str:
    return base64.b64encode(values.tobytes()).decode("ascii")


def _unpacked(text: str) -> array[float]:
    return array("f", base64.b64decode(text))
