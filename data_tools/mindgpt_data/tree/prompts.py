"""What the teacher and the critic are asked, and the shape of their answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from mindgpt_data.client.request import Answer, Request, Task
from mindgpt_data.client.structured import make_answer_parser, make_answer_schema
from mindgpt_data.schema.config import ExpandSettings

TEACHER = (
    "You build a taxonomy of topics that questions about pictures can be asked on. Topics under one parent are "
    "mutually exclusive and, together, collectively exhaustive: no two overlap, and nothing of the parent is left out. "
    "Write in the language of the parent's definition. Answer in JSON."
)
CRITIC = (
    "You check a taxonomy. A candidate is entailed by its parent when everything the candidate covers lies within the "
    "parent's definition and none of it is excluded there. Judge each candidate on its own and strictly. Answer in "
    "JSON."
)


class Proposal(BaseModel):
    """One proposed topic."""

    name: str = Field(min_length=1, max_length=80)
    definition: str = Field(min_length=1, max_length=300)
    exclusions: str = Field("", max_length=300)
    exemplars: list[Annotated[str, Field(max_length=160)]] = Field(default_factory=list, max_length=3)


class CapabilityProposal(Proposal):
    """A proposed capability, with the density dimension that pays for it."""

    density: Literal["subjects", "spatial", "text", "knowledge"]


class Proposals(BaseModel):
    """The teacher's answer."""

    topics: list[Proposal]


class CapabilityProposals(BaseModel):
    """The teacher's answer at level 3 of the capability dimension."""

    topics: list[CapabilityProposal]


class CriticVerdict(BaseModel):
    """The critic on one candidate."""

    number: int
    entailed: bool
    reason: str = Field("", max_length=200)


class Verdicts(BaseModel):
    """The critic's answer."""

    verdicts: list[CriticVerdict]


@dataclass(frozen=True)
class TopicPlace:
    """Where a topic is wanted; all a prompt depends on, so that other domains never change it.

    Attributes:
        key: id of the parent.
        level: level of the topics wanted.
        dimension: of the tree.
        path: names from level 1 to the parent.
        definition: of the parent.
        exclusions: of the parent.
        neighbours: names of the parent's siblings (at level 3 only: a new domain must not change old prompts).
    """

    key: str
    level: int
    dimension: str
    path: tuple[str, ...]
    definition: str
    exclusions: str
    neighbours: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The place in words."""
        found = [f"Parent: {' > '.join(self.path)}", f"Its definition: {self.definition or self.path[-1]}"]
        if self.exclusions:
            found.append(f"Excluded from it: {self.exclusions}")
        if self.neighbours:
            found.append(f"Its own siblings, whose ground is not to be entered: {'; '.join(self.neighbours)}")
        return found


def build_proposal_task(
    place: TopicPlace, round_: int, siblings: Sequence[str], refused: Sequence[str], settings: ExpandSettings
) -> Task[list[Proposal]]:
    """Ask the teacher for more children.

    Args:
        place: under which node.
        round_: counts the requests for this node.
        siblings: names of the children there are.
        refused: names proposed before and not accepted.
        settings: how many topics at most, what must not become a topic, and the temperature.
    """
    number = settings.proposals
    lines = place.lines()
    lines.append(f"Topics it has: {'; '.join(siblings) or 'none yet'}")
    if refused:
        lines.append(f"Refused before, do not propose again: {'; '.join(refused)}")
    if settings.exclude:
        lines.append(f"Never propose anything about: {'; '.join(settings.exclude)}")
    lines.append(
        f"Propose up to {number} further topics directly under the parent (level {place.level} of 3), each with a "
        "short name, a one-sentence definition, what it excludes and where that goes instead, and up to 3 example "
        "questions. Propose fewer, or none, when what is left would overlap."
    )
    capability = place.dimension == "capability" and place.level == 3
    if capability:
        lines.append(
            "density: which quality of a picture lets this be asked: many subjects, spatial relations, text, knowledge."
        )
    model: type[Proposals] | type[CapabilityProposals] = CapabilityProposals if capability else Proposals
    read = make_answer_parser(model)

    def parse(answer: Answer) -> list[Proposal]:
        return list(read(answer).topics[:number])

    request = Request(
        [{"role": "system", "content": TEACHER}, {"role": "user", "content": "\n".join(lines)}],
        make_answer_schema(model, max_items=number),
        max_tokens=160 * number + 64,
        temperature=settings.temperature,
    )
    return _task(f"{place.key}#{round_}", request, parse)


def build_critique_task(place: TopicPlace, round_: int, candidates: Sequence[Proposal]) -> Task[list[CriticVerdict]]:
    """Ask the critic which candidates the parent entails; one verdict each, in order."""
    lines = [*place.lines(), "Candidates:"]
    lines += [f"{i}. {one.name}: {one.definition}" for i, one in enumerate(candidates, 1)]
    lines.append("Give every number one verdict: entailed or not, and why in a few words.")

    def parse(answer: Answer) -> list[CriticVerdict]:
        found = {verdict.number: verdict for verdict in make_answer_parser(Verdicts)(answer).verdicts}
        missing = [i for i in range(1, len(candidates) + 1) if i not in found]
        if missing:
            raise ValueError(f"no verdict on candidate {missing[0]} of {len(candidates)}")
        return [found[i] for i in range(1, len(candidates) + 1)]

    request = Request(
        [{"role": "system", "content": CRITIC}, {"role": "user", "content": "\n".join(lines)}],
        make_answer_schema(Verdicts, max_items=len(candidates)),
        max_tokens=80 * len(candidates) + 64,
    )
    return _task(f"{place.key}#{round_}", request, parse)


def _task(key: str, request: Request, parse: Any) -> Task[Any]:
    asked = json.dumps([request.messages, request.schema, request.max_tokens, request.temperature], sort_keys=True)
    return Task(key, hashlib.sha256(asked.encode()).hexdigest(), lambda: request, parse)
