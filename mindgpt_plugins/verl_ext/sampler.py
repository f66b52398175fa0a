"""Puts a curriculum sampler of ours, with or without a mixture, behind verl's stateful data loader."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from torch.utils.data import Sampler

from mindgpt_plugins.core.registry import get_registered
from mindgpt_plugins.curriculum.base import Clock, CurriculumError, Examples, require_same_settings
from mindgpt_plugins.curriculum.config import MixtureChoice, SamplerChoice
from mindgpt_plugins.curriculum.feeding import find_rl_obstacle
from mindgpt_plugins.curriculum.mixture import require_every_weight
from mindgpt_plugins.verl_ext.step.twins import PairedCounterfactuals


class CurriculumSampler(Sampler[int]):
    """Yields dataset rows in curriculum order, one epoch per iteration.

    When the run draws fewer prompts than the dataset holds, a seeded random subset of that size is used, so that "easy
    to hard" spans the run and not a part of it. State: epoch and position; orders follow from the seed.

    Args:
        difficulty: of each row, larger is harder; ``None`` where a row does not say.
        source: of each row.
        choice: the sampler.
        mixed: the mixture; ``None``: every row once per epoch.
        seed: of every random choice.
        prompts_per_step: prompts of one step.
        steps: of the run.
        twins: rows that share a step.

    Raises:
        CurriculumError: the choice cannot work in RL or on these rows.
        TwinError: steps of this size cannot hold the twins.
    """

    def __init__(
        self,
        difficulty: Sequence[float | None],
        source: Sequence[str],
        choice: SamplerChoice,
        mixed: MixtureChoice | None = None,
        *,
        seed: int,
        prompts_per_step: int,
        steps: int,
        twins: PairedCounterfactuals | None = None,
    ):
        if len(difficulty) != len(source):
            raise ValueError(f"{len(difficulty)} difficulties for {len(source)} rows")
        if problem := find_rl_obstacle(choice.name, mixed.name if mixed else None):
            raise CurriculumError(f"curriculum: {problem}")
        kind = get_registered("sampler", choice.name)
        missing = sum(value is None for value in difficulty)
        if missing and getattr(kind, "needs_difficulty", False):
            raise CurriculumError(
                f"curriculum {choice.name!r} needs a difficulty, and {missing} of {len(difficulty)} rows have none in "
                "extra_info; add it or use `curriculum: shuffled`"
            )
        self.twins = twins or None  # no families: none
        if self.twins and mixed is not None:
            raise CurriculumError(
                f"mixture: it draws prompts one by one and would part {len(self.twins)} adversarial twins from "
                "their answerable partners; remove the mixture, or train on a set without adversarial twins"
            )
        choose = self.twins.subset if self.twins else partial(_subset, len(difficulty))
        self.rows = choose(prompts_per_step * steps, seed)
        if self.twins:
            self.twins.check(self.rows)
        names = tuple(sorted(set(source)))
        mixture = None
        if mixed is not None:
            build = get_registered("mixture", mixed.name)
            if getattr(build, "moves", False):  # its clock counts whole steps; verl drops an epoch's last part of one
                whole = len(self.rows) // prompts_per_step * prompts_per_step
                self.rows = [self.rows[i] for i in _subset(len(self.rows), whole, seed)]
            counts = [sum(source[row] == name for row in self.rows) for name in names]
            mixture = build(names, counts, **mixed.options)
            require_every_weight(build, mixed.options, names, counts)
        examples = Examples(
            group=[names.index(source[row]) for row in self.rows],
            names=names,
            difficulty=[float(difficulty[row] or 0.0) for row in self.rows],
        )
        self.inner = kind(examples, seed, mixture, **choice.options)
        if mixture is not None and mixture.moves:
            self.inner.attach(Clock(prompts_per_step, len(self.rows), steps))
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[int]:
        return _Walk(self)


class _Walk(Iterator[int]):
    """One epoch; knows its place, as torchdata's stateful loader asks for it."""

    def __init__(self, sampler: CurriculumSampler):
        self.sampler = sampler
        self._start(sampler.epoch, 0)

    def _start(self, epoch: int, position: int) -> None:
        self.epoch, self.position = epoch, position
        self.sampler.epoch = epoch
        self.sampler.inner.set_epoch(epoch)
        order = [self.sampler.rows[i] for i in self.sampler.inner]
        self.order = self.sampler.twins.arrange(order) if self.sampler.twins else order

    def __next__(self) -> int:
        if self.position >= len(self.order):
            self.sampler.epoch = self.epoch + 1
            raise StopIteration
        self.position += 1
        row: int = self.order[self.position - 1]
        return row

    def state_dict(self) -> dict[str, Any]:
        """Where this walk is, and what its order follows from."""
        place = {"epoch": self.epoch, "position": self.position, "inner": self.sampler.inner.state_dict()}
        return place | ({"twins": self.sampler.twins.digest()} if self.sampler.twins else {})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where another walk was; refuses other data, seed or options."""
        self.sampler.inner.load_state_dict(state["inner"])
        mine = self.sampler.twins.digest() if self.sampler.twins else None
        require_same_settings("steps and twins", {"twins": mine}, {"twins": state.get("twins")})
        self._start(int(state["epoch"]), int(state["position"]))


def build_curriculum_loader(
    base: Any, dataset: Any, choice: SamplerChoice, mixed: MixtureChoice | None, **run: int
) -> Any:
    """The train loader that verl has made once more, in curriculum order.

    Args:
        base: the loader verl has made.
        dataset: verl's ``RLHFDataset``; rows have ``extra_info.difficulty`` and ``data_source``.
        choice: the sampler.
        mixed: the mixture.
        run: ``seed``, ``prompts_per_step`` and ``steps``.
    """
    from torchdata.stateful_dataloader import StatefulDataLoader  # type: ignore[import-untyped]
    from verl.utils.dataset.rl_dataset import collate_fn

    frame = dataset.dataframe
    extra = [row or {} for row in frame["extra_info"]]
    return StatefulDataLoader(
        dataset=dataset,
        batch_size=base.batch_size,
        num_workers=base.num_workers,
        drop_last=True,
        collate_fn=collate_fn,
        sampler=CurriculumSampler(
            [row.get("difficulty") for row in extra],
            [str(name) for name in frame["data_source"]],
            choice,
            mixed,
            twins=PairedCounterfactuals.of(extra, run["prompts_per_step"]),
            **run,
        ),
    )


def _subset(size: int, draws: int, seed: int) -> list[int]:
    import random

    if draws >= size:
        return list(range(size))
    return sorted(random.Random(f"{seed}/subset").sample(range(size), draws))
