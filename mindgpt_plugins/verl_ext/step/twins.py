"""Keeps an adversarial prompt in the step of its answerable twin, whatever the curriculum's order; imports no host.

Only together do they teach the difference: answered here, refused there. Source: ours.
"""

from __future__ import annotations

import hashlib
import random
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any


class PairedCounterfactualError(ValueError):
    """Steps of this size cannot hold the twins."""


class PairedCounterfactuals:
    """Rows that belong into one step.

    Args:
        family: of each row; rows of the same name belong together.
        batch: prompts per step.

    Raises:
        TwinError: a family is larger than a step.
    """

    def __init__(self, family: Sequence[str], batch: int):
        self.batch = batch
        sizes = Counter(family)
        self.family = {row: name for row, name in enumerate(family) if sizes[name] > 1}
        self.count = len(family)
        largest = max(sizes, key=lambda name: sizes[name], default="")
        if self.family and sizes[largest] > batch:
            raise PairedCounterfactualError(
                f"{largest!r} and its adversarial twins are {sizes[largest]} prompts, and a step has "
                f"prompts_per_step = {batch}; raise it to at least {sizes[largest]}"
            )

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]], batch: int) -> PairedCounterfactuals:
        """From the ``extra_info`` of a dataset: a twin names its partner in ``twin_uid``.

        Warns of twins whose partner is not in the dataset; they come alone.
        """
        partners = {str(row["twin_uid"]) for row in rows if row.get("twin_uid")}
        known = {str(row.get("uid")) for row in rows}
        family = [
            str(row.get("twin_uid") or (row["uid"] if str(row.get("uid")) in partners else f"row {i}"))
            for i, row in enumerate(rows)
        ]
        alone = [str(row.get("uid")) for row in rows if row.get("twin_uid") and str(row["twin_uid"]) not in known]
        if alone:
            warnings.warn(
                f"{len(alone)} adversarial prompts ({', '.join(alone[:3])}…) have no answerable twin in the training "
                "set and come without it; train_max_samples or a length filter removed it",
                stacklevel=2,
            )
        return cls(family, batch)

    def __len__(self) -> int:
        """Rows that must stay with another; falsy when there are none."""
        return len(self.family) - len(set(self.family.values()))

    def digest(self) -> str:
        """What an order depends on besides the curriculum."""
        return hashlib.sha256(f"{self.batch} {sorted(self.family.items())}".encode()).hexdigest()[:16]

    def subset(self, draws: int, seed: int) -> list[int]:
        """A seeded random subset of ``draws`` rows that splits no family; all rows when there are not more."""
        if draws >= self.count:
            return list(range(self.count))
        units = self._units(range(self.count))
        random.Random(f"{seed}/subset").shuffle(units)
        chosen: list[int] = []
        for unit in units:
            if len(chosen) + len(unit) <= draws:
                chosen += unit
        return sorted(chosen)

    def check(self, rows: Sequence[int]) -> None:
        """Refuse at the start what some epoch could not do.

        Raises:
            TwinError: steps of this size cannot all be filled without splitting a family.
        """
        self._packable(self._units(rows))

    def arrange(self, order: Sequence[int]) -> list[int]:
        """The same rows, families whole within each step.

        A family comes where its first member stood; one that no longer fits opens the next step, and the next single
        prompts fill the gap. What is left over after the last whole step comes last.

        Raises:
            TwinError: see :meth:`check`.
        """
        units = self._packable(self._units(order))
        largest, steps = max(map(len, units), default=1), len(order) // self.batch
        singles = sum(len(unit) == 1 for unit in units)
        families = len(units) - singles
        arranged: list[int] = []
        for step in range(steps):
            # As long as there are families, each step may have to be closed with up to largest − 1 single prompts.
            spare = singles - (largest - 1) * (steps - step) if families else singles
            room = self.batch
            later: list[list[int]] = []
            for place, unit in enumerate(units):
                if not room:
                    later += units[place:]
                    break
                if len(unit) > room or (len(unit) == 1 and spare <= 0):
                    later.append(unit)
                    continue
                arranged += unit
                room -= len(unit)
                if len(unit) == 1:
                    singles, spare = singles - 1, spare - 1
                else:
                    families -= 1
            for unit in list(islice((unit for unit in later if len(unit) == 1), room)):
                arranged += unit
                later.remove(unit)
                singles -= 1
            units = later
        return arranged + [row for unit in units for row in unit]

    def _units(self, order: Sequence[int]) -> list[list[int]]:
        members: dict[str, list[int]] = {}
        units: list[list[int]] = []
        for row in order:
            name = self.family.get(row)
            if name is None or name not in members:
                units.append([row])
                if name is not None:
                    members[name] = units[-1]
            else:
                members[name].append(row)
        return units

    def _packable(self, units: list[list[int]]) -> list[list[int]]:
        largest, rows = max(map(len, units), default=1), sum(map(len, units))
        singles = [unit for unit in units if len(unit) == 1]
        needed = (largest - 1) * (rows // self.batch)
        if len(singles) >= needed:
            return units
        if largest == 2 and self.batch % 2 == 0:  # too few to close gaps: in twos they leave none
            return _in_twos(units)
        advice = "use an even one" if largest == 2 else "or mix in more prompts without twins"
        raise PairedCounterfactualError(
            f"steps of prompts_per_step = {self.batch} cannot always be filled without parting adversarial twins: "
            f"that may take {needed} prompts without a twin, and there are {len(singles)}; {advice}"
        )


def _in_twos(units: list[list[int]]) -> list[list[int]]:
    paired: list[list[int]] = []
    waiting: list[int] | None = None
    for unit in units:
        if len(unit) > 1:
            paired.append(unit)
        elif waiting is None:
            waiting = list(unit)
            paired.append(waiting)
        else:
            waiting += unit
            waiting = None
    # A last one without company leaves no gap only behind all others.
    return [unit for unit in paired if len(unit) > 1] + [unit for unit in paired if len(unit) == 1]
