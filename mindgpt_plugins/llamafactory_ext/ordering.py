"""From the ``mindgpt:`` section and the rows' columns to the sampler; the plan and the trainer build it alike.

No host import: ``mindgpt plan curriculum`` runs without torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mindgpt_plugins.core.registry import get_registered
from mindgpt_plugins.curriculum.base import Clock, CurriculumError, Examples, Mixture, Sampler
from mindgpt_plugins.curriculum.mixture import require_every_weight
from mindgpt_plugins.llamafactory_ext.settings import Section


@dataclass(frozen=True)
class Loader:
    """The host's settings that turn an order into batches.

    Attributes:
        micro_batch: samples per rank and micro-batch.
        accumulation: micro-batches per step.
        ranks: data-parallel processes.
        workers: loader processes per rank.
        prefetch: batches each of them fetches ahead.
    """

    micro_batch: int
    accumulation: int = 1
    ranks: int = 1
    workers: int = 0
    prefetch: int = 2

    @property
    def samples_per_step(self) -> int:
        """Over all micro-batches and ranks."""
        return self.micro_batch * self.accumulation * self.ranks

    @property
    def lead(self) -> int:
        """Steps whose samples may have been fetched, in part, when a step ends; accelerate reads one batch ahead."""
        return math.ceil((1 + self.workers * self.prefetch) / self.accumulation)

    def clock(self, samples: int, max_steps: int | None, epochs: float) -> Clock:
        """The run's clock: ``max_steps`` when positive, else ``epochs``, as the host counts them."""
        per_epoch = -(-samples // self.samples_per_step)
        steps = max_steps if max_steps is not None and max_steps > 0 else math.ceil(epochs * per_epoch)
        return Clock(self.samples_per_step, samples, steps)

    def steps(self, order: Sequence[int]) -> list[list[int]]:
        """What each step of an epoch consumes, over all ranks: with several, the end is filled up from the start."""
        filled = list(order)
        whole = self.micro_batch * self.ranks
        if self.ranks > 1:
            first = filled[:whole]
            filled += [first[i % len(first)] for i in range(-len(filled) % whole)]
        size = self.samples_per_step
        return [filled[start : start + size] for start in range(0, len(filled), size)]


def build_section_sampler(
    section: Section,
    source: Sequence[str],
    dataset: Sequence[str],
    names: tuple[str, ...],
    *,
    difficulty: Sequence[float] | None,
    length: Sequence[int] | None,
    seed: int,
) -> Sampler:
    """Build the section's sampler over all rows.

    Args:
        section: with a curriculum or a mixture.
        source: each row's source.
        dataset: each row's entry of the host's ``dataset:``.
        names: all sources.
        difficulty: of each row; may be ``None`` when the curriculum does not need it.
        length: tokens of each row; may be ``None`` when the curriculum does not need it.
        seed: of every random choice.

    Raises:
        CurriculumError: the section asks for something that these rows cannot give.
    """
    by_dataset = section.mixture is not None and section.mixture.by == "dataset"
    group = dataset if by_dataset else source
    groups = tuple(sorted(set(dataset))) if by_dataset else names
    ids = {name: i for i, name in enumerate(groups)}
    examples = Examples([ids[name] for name in group], groups, difficulty, length)
    mixture: Mixture | None = None
    if section.mixture is not None:
        sizes = [len(pool) for pool in examples.pools()]
        build = get_registered("mixture", section.mixture.name)
        mixture = build(groups, sizes, **section.mixture.options)
        require_every_weight(build, section.mixture.options, groups, sizes)
    choice = section.curriculum
    kind = get_registered("sampler", choice.name if choice else "shuffled")
    sampler = kind(examples, seed, mixture, **(choice.options if choice else {}))
    assert isinstance(sampler, Sampler)
    return sampler


def start_sampler_clock(sampler: Sampler, loader: Loader, clock: Clock) -> None:
    """Tell the sampler the run's clock, and refuse a mixture that would hear of changes too late.

    Raises:
        CurriculumError: the loader fetches further ahead than the mixture's delay.
    """
    delay = getattr(sampler.mixture, "delay", None)
    if delay is not None and delay < loader.lead:
        raise CurriculumError(
            f"mixture: delay is {delay} steps, but the data loader fetches {loader.lead} steps ahead ({loader.workers} "
            f"workers, {loader.prefetch} batches each); set mixture.options.delay to at least {loader.lead}"
        )
    sampler.attach(clock)
