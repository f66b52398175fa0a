"""A teacher LLM grows the tree; only children that are new and belong there are kept (after TreeSynth, 2503.17195).

A child is accepted when its cosine to every sibling is below a threshold and a critic says the parent entails it. A
node is left alone when the share of accepted proposals falls below the novelty threshold, or its cap is reached. Every
prompt depends on the node's own branch only and every answer is stored, so a killed run goes on where it was, a new
domain leaves the others byte-identical, and a higher cap only adds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mindgpt_data.client.request import Done, Failed, Task
from mindgpt_data.embed import load_embedder
from mindgpt_data.io.work import Drop
from mindgpt_data.schema.config import ExpandSettings
from mindgpt_data.tree.branch import EmbeddedProposal, GrowingBranch
from mindgpt_data.tree.checks import build_tree_from_nodes
from mindgpt_data.tree.model import LEVELS, Node, Tree, TreeError, format_label_text
from mindgpt_data.tree.prompts import Proposal, TopicPlace, build_critique_task, build_proposal_task

Ask = Callable[[Iterable[Task[Any]], int], Iterator[Done[Any] | Failed]]
"""Does that many tasks and yields their outcomes in any order: ``ask_all`` with its step, store and endpoints."""


@dataclass(frozen=True)
class Expansion:
    """What became of it.

    Attributes:
        tree: the old nodes, unchanged, and the new ones after their siblings.
        drops: every proposal that was not accepted and every request that failed, each with its reason.
        summary: requests, proposals, accepted nodes, failed requests and drops by reason.
    """

    tree: Tree
    drops: list[Drop]
    summary: dict[str, Any]


def expand_tree(
    tree: Tree,
    settings: ExpandSettings,
    teacher: Ask,
    critic: Ask | None = None,
    *,
    under: Sequence[str] = (),
    levels: Sequence[int] = (3,),
) -> Expansion:
    """Grow a tree.

    Args:
        tree: may have level-1 and level-2 nodes without children.
        settings: thresholds and bounds.
        teacher: answers proposal requests.
        critic: answers entailment requests; None leaves that check out.
        under: ids of the nodes to grow under; empty for everywhere.
        levels: ``(3,)`` for leaves, ``(2, 3)`` for level 2 and then its leaves.

    Raises:
        TreeError: an unknown node or level, or a capability leaf without a density dimension.
    """
    if LEVELS not in levels or not set(levels) <= {2, LEVELS}:
        raise TreeError(f"levels {', '.join(map(str, levels))}: give 3 (leaves), or 2 and 3")
    for node in under:
        if tree.columns.levels[tree.row(node)] == LEVELS:
            raise TreeError(f"{node!r} is a leaf; leaves are not expanded: name a node of level 1 or 2")
    grower = _Grower(tree, settings, teacher, critic)
    for level in sorted(set(levels)):
        grower.grow(set(under), level)
    return grower.finish()


class _Grower:
    """The growing tree and its counts."""

    def __init__(self, tree: Tree, settings: ExpandSettings, teacher: Ask, critic: Ask | None) -> None:
        self.tree, self.settings, self.teacher, self.critic = tree, settings, teacher, critic
        self.embedder = load_embedder(settings.embedder)
        self.excluded = self.embedder.encode(settings.exclude)
        self.nodes = dict(tree.nodes)
        self.children: dict[str | None, list[Node]] = {}
        for node in self.nodes.values():
            self.children.setdefault(node.parent, []).append(node)
        self.taken = set(self.nodes)
        self.drops: list[Drop] = []
        self.counts: Counter[str] = Counter()

    def grow(self, under: set[str], level: int) -> None:
        """Add children of ``level``, a request per parent and round; parents do not wait for a certain order."""
        parents = [node for node in self._depth_first(None) if node.level == level - 1]
        branches = [self._branch(node) for node in parents if not under or under & {one.id for one in self._path(node)}]
        for number in range(1, self.settings.rounds + 1):
            active = [branch for branch in branches if not branch.done]
            if active:
                self._round(active, number)
        for branch in branches:
            self.nodes.update((node.id, node) for node in branch.children)
            self.drops += branch.drops

    def finish(self) -> Expansion:
        """Leave out new level-2 nodes that got no leaves, and check the whole."""
        old = self.tree.row_of
        for parent, siblings in list(self.children.items()):
            empty = [n for n in siblings if n.id not in old and n.level < LEVELS and not self.children.get(n.id)]
            self.children[parent] = [node for node in siblings if node not in empty]
            self.drops += [Drop("tree", "leaves", "no leaf accepted under it", n.parent or "", n.name) for n in empty]
        grown = [("expanded tree", node) for node in self._depth_first(None)]
        tree = build_tree_from_nodes(self.tree.dimension, grown, whole=False)
        reasons = Counter(f"{drop.gate}: {drop.reason}" for drop in self.drops)
        counts = {key: self.counts[key] for key in ("requests", "failed", "proposed")}
        summary = {**counts, "accepted": len(tree) - len(self.tree), "leaves": len(tree.leaf_rows), "dropped": reasons}
        return Expansion(tree, self.drops, summary)

    def _round(self, branches: Sequence[GrowingBranch], number: int) -> None:
        proposals = self._ask(self.teacher, [(branch, self._proposal(branch, number)) for branch in branches])
        screened: list[tuple[GrowingBranch, list[EmbeddedProposal], int]] = []
        for branch, found in proposals:
            self.counts["proposed"] += len(found)
            fits = branch.screen(self._candidates(found), self.excluded, self.settings)
            screened.append((branch, fits, len(found)))
        verdicts: dict[str, Any] = {}
        if self.critic is not None:
            asked = [
                (branch, build_critique_task(branch.place, number, [one.proposal for one in fits]))
                for branch, fits, _ in screened
                if fits
            ]
            verdicts = {branch.place.key: verdict for branch, verdict in self._ask(self.critic, asked)}
        for branch, fits, proposed in screened:
            if branch.done:  # its critic failed
                continue
            new = branch.accept(fits, verdicts.get(branch.place.key), self.taken, self.settings)
            full = len(branch.children) >= self.settings.cap
            branch.done = full or not proposed or new / proposed < self.settings.novelty

    def _proposal(self, branch: GrowingBranch, number: int) -> Task[list[Proposal]]:
        names = [node.name for node in branch.children]
        return build_proposal_task(branch.place, number, names, branch.refused, self.settings)

    def _candidates(self, found: Sequence[Proposal]) -> list[EmbeddedProposal]:
        vectors = self.embedder.encode([format_label_text(one.name, one.definition) for one in found])
        return [EmbeddedProposal(one, vector) for one, vector in zip(found, vectors, strict=True)]

    def _ask(self, ask: Ask, asked: Sequence[tuple[GrowingBranch, Task[Any]]]) -> list[tuple[GrowingBranch, Any]]:
        """Answers in the order of ``asked``, whatever the order they arrive in; a branch without one is done."""
        outcomes = {outcome.key: outcome for outcome in ask([task for _, task in asked], len(asked))}
        self.counts["requests"] += len(asked)
        found = []
        for branch, task in asked:
            outcome = outcomes[task.key]
            if isinstance(outcome, Done):
                found.append((branch, outcome.value))
                continue
            self.counts["failed"] += 1
            branch.done = True
            branch.drops.append(Drop("tree", "request", "the model gave no valid answer", task.key, outcome.error))
        return found

    def _branch(self, parent: Node) -> GrowingBranch:
        path = self._path(parent)
        near = self.children[parent.parent] if parent.level == LEVELS - 1 else []
        place = TopicPlace(
            key=parent.id,
            level=parent.level + 1,
            dimension=self.tree.dimension,
            path=tuple(node.name for node in path),
            definition=parent.definition,
            exclusions=parent.exclusions,
            neighbours=tuple(node.name for node in near if node.id != parent.id),
        )
        children = self.children.setdefault(parent.id, [])
        vectors = self.embedder.encode([format_label_text(node.name, node.definition) for node in children])
        density = next((node.density for node in reversed(path) if node.density), None)
        return GrowingBranch(place, children, vectors, density, done=len(children) >= self.settings.cap)

    def _path(self, node: Node) -> list[Node]:
        found = [node]
        while found[-1].parent is not None:
            found.append(self.nodes[found[-1].parent])
        return found[::-1]

    def _depth_first(self, parent: str | None) -> Iterator[Node]:
        for node in self.children.get(parent, []):
            yield node
            yield from self._depth_first(node.id)
