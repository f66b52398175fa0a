"""A seed's prompt sets, encoded once for all of its arms, and the steps they are dealt out in."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from ablation_arms import Settings
from ablation_policy import Encoded, Policy
from mindgpt_data.export import read_set
from mindgpt_data.schema.rows import Row

from mindgpt_plugins.core.registry import get_registered
from mindgpt_plugins.core.schedule import compute_progress
from mindgpt_plugins.curriculum.examples import Examples
from mindgpt_plugins.rewards.rows import make_rollout_from_row
from mindgpt_plugins.rewards.sdk import Rollout


class Prompts:
    """The sets that :func:`ablation_world.make` has written.

    Args:
        folder: the datasets folder.
        policy: whose processor encodes; all arms of a seed share it.
    """

    def __init__(self, folder: Path, policy: Policy):
        self.folder, self.policy = folder, policy
        names = ("warm", "warm_twins", "train", "train_twins", "test", "covered", "blurred")
        self.sets: dict[str, list[Row]] = {name: read_set(folder, name) for name in names}
        self.twin_of = {row.twin_uid: row for row in self.sets["train_twins"]}
        self._encoded: dict[tuple[str, str, bool], Encoded] = {}

    def encoded(self, rows: Sequence[Row], blank: bool = False) -> list[Encoded]:
        """The rows as the model wants them; ``blank`` replaces every picture by a uniform one."""
        found = []
        for row in rows:
            key = (row.question, row.image[0], blank)
            if key not in self._encoded:
                self._encoded[key] = self.policy.encode(row.question, self.folder / row.image[0], blank)
            found.append(self._encoded[key])
        return found

    def steps(self, settings: Settings, twins: int, seed: int) -> Iterator[list[Row]]:
        """The prompts of each step: the same for all arms, but for those that make room for twins.

        Args:
            settings: how many.
            twins: of the step's prompts that have a twin, so many of the first ones get it beside them, in place of
                prompts without one.
            seed: of the order.
        """
        rows = self.sets["train"]
        names = tuple(sorted({row.source for row in rows}))
        examples = Examples(
            group=[names.index(row.source) for row in rows], names=names, difficulty=[row.difficulty for row in rows]
        )
        sampler = get_registered("sampler", "shuffled")(examples, seed)
        order = itertools.chain.from_iterable(sampler.order(epoch) for epoch in itertools.count())
        for _ in range(settings.steps):
            batch = [rows[i] for i in itertools.islice(order, settings.prompts)]
            added = [self.twin_of[row.uid] for row in batch if row.uid in self.twin_of][:twins]
            partners = {twin.twin_uid for twin in added}
            others = [row for row in batch if row.uid not in partners]
            out = {row.uid for row in others[len(others) - len(added) :]}
            yield [row for row in batch if row.uid not in out] + added


def rollout(row: Row, text: str, tokens: Sequence[int], step: int, total: int) -> Rollout:
    """A reply as the rewards see it."""
    return make_rollout_from_row(
        row.to_json(), text, step=step, progress=compute_progress(step, total), token_ids=tokens
    )
