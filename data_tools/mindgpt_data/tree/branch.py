"""One node that is being grown: what it has, what is proposed, and why a proposal is not taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mindgpt_data.io.work import Drop
from mindgpt_data.schema.config import ExpandSettings
from mindgpt_data.tree.ids import make_child_id, normalise_name
from mindgpt_data.tree.model import Node
from mindgpt_data.tree.prompts import CapabilityProposal, CriticVerdict, Proposal, TopicPlace


@dataclass(frozen=True)
class EmbeddedProposal:
    """A proposal with its unit vector, float32 ``[dim]``."""

    proposal: Proposal
    vector: NDArray[np.float32]


@dataclass
class GrowingBranch:
    """A parent and its children.

    Attributes:
        place: what prompts are made of.
        children: in order; accepted ones are appended.
        vectors: float32 ``[len(children), dim]``, unit rows.
        refused: names that were proposed and not taken, for the next prompt.
        drops: the same with their reasons.
        done: no more requests.
        density: of the parent; capability leaves inherit it when the proposal has none.
    """

    place: TopicPlace
    children: list[Node]
    vectors: NDArray[np.float32]
    density: str | None = None
    refused: list[str] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)
    done: bool = False

    def screen(
        self, proposals: Sequence[EmbeddedProposal], excluded: NDArray[np.float32], settings: ExpandSettings
    ) -> list[EmbeddedProposal]:
        """Leave out what is named like a sibling or the parent, is on the exclusion list, or is close to a sibling."""
        names = {normalise_name(name) for name in (*(node.name for node in self.children), *self.place.path)}
        banned = [normalise_name(phrase) for phrase in settings.exclude]
        fits = []
        for one in proposals:
            name = normalise_name(one.proposal.name)
            nearest, close = self._nearest(one.vector)
            if name in names:
                self.drop("name", "name is taken by a sibling or parent", one)
            elif any(f" {phrase} " in f" {name} " for phrase in banned):
                self.drop("exclude", "on the exclusion list", one)
            elif len(excluded) and float((excluded @ one.vector).max()) >= settings.similarity:
                self.drop("exclude", "close to the exclusion list", one)
            elif close >= settings.similarity:
                self.drop("similarity", "too close to a sibling", one, f"{close:.3f} to {nearest!r}")
            else:
                fits.append(one)
                names.add(name)
        return fits

    def accept(
        self,
        fits: Sequence[EmbeddedProposal],
        verdicts: Sequence[CriticVerdict] | None,
        taken: set[str],
        settings: ExpandSettings,
    ) -> int:
        """Take the candidates that the critic entails and that are not close to one taken before them.

        Returns:
            How many were new; the cap may leave out some of them.
        """
        new = 0
        for at, one in enumerate(fits):
            nearest, close = self._nearest(one.vector)
            if verdicts is not None and not verdicts[at].entailed:
                self.drop("critic", "not entailed by the parent", one, verdicts[at].reason)
            elif close >= settings.similarity:
                self.drop("similarity", "too close to a sibling", one, f"{close:.3f} to {nearest!r}")
            else:
                new += 1
                if len(self.children) < settings.cap:
                    self._append(one, taken)
                else:
                    self.drop("cap", "over the cap of its parent", one)
        return new

    def drop(self, gate: str, reason: str, one: EmbeddedProposal, detail: str = "") -> None:
        """Record why a candidate is not taken."""
        name = one.proposal.name
        self.refused.append(name)
        self.drops.append(Drop("tree", gate, reason, self.place.key, f"{name}: {detail}" if detail else name))

    def _nearest(self, vector: NDArray[np.float32]) -> tuple[str, float]:
        if not self.children:
            return "", -1.0
        similar = self.vectors @ vector
        at = int(similar.argmax())
        return self.children[at].name, float(similar[at])

    def _append(self, one: EmbeddedProposal, taken: set[str]) -> None:
        proposal = one.proposal
        own = proposal.density if isinstance(proposal, CapabilityProposal) else None
        node = Node(
            id=make_child_id(self.place.key, proposal.name, taken),
            level=self.place.level,
            parent=self.place.key,
            name=proposal.name,
            definition=proposal.definition,
            exclusions=proposal.exclusions,
            exemplars=tuple(proposal.exemplars),
            density=own or self.density,
        )
        taken.add(node.id)
        self.children.append(node)
        self.vectors = np.concatenate([self.vectors, one.vector[None]])
