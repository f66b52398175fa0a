"""What every teacher gets and gives, and how one is found by name.

The simplest teacher is a function of one job::

    @register("teacher")
    def mine(job: Job, *, style: str = "short") -> list[Candidate]: ...

A class with the same options and a method ``propose(job)`` may load something once. A teacher that asks a model server
has ``task(job)`` instead, which returns a :class:`~mindgpt_data.client.request.Task`; stores, retries and rate limits
are then not its concern.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from mindgpt_data.client.request import Task
from mindgpt_data.schema.config import TeacherChoice
from mindgpt_data.schema.record import ImageRecord
from mindgpt_plugins.core import registry
from mindgpt_plugins.core.image_size import SENT_PIXELS


@dataclass(frozen=True)
class Label:
    """A label-tree leaf as a teacher sees it.

    Attributes:
        leaf: its id.
        name: short title.
        definition: what belongs there.
        path: names from level 1 down, ``Transport > Road vehicles > Buses``.
        family: for capabilities, the density dimension it belongs to; else empty.
    """

    leaf: str
    name: str
    definition: str
    path: str = ""
    family: str = ""


@dataclass(frozen=True)
class Slot:
    """One QA to be written.

    Attributes:
        number: within its image, from 0.
        capability: leaf it must exercise.
        knowledge: leaf it should be about, or None.
        type: ``verifiable`` or ``open``.
        level: requested difficulty, 1 (a glance) to 5 (an expert).
    """

    number: int
    capability: str
    knowledge: str | None = None
    type: str = "verifiable"
    level: int = 3


@dataclass(frozen=True)
class Job:
    """One image record and what is wanted of it.

    Attributes:
        record: the pictures and what the corpus knows of them.
        ids: Information Density Score, in [0, 1].
        sub_scores: its four dimensions, each in [0, 5].
        items: how many QA.
        spare: how many more a local teacher's step may take, in case others fall short.
        families: how many of each capability family.
        topics: matched knowledge leaves, best first.
        evidence: knowledge leaf → the words or the reason it was matched by.
        capabilities: leaves that may be used, by id.
        slots: for teachers that write what they are told: exactly these.
        avoid: questions already asked about this image.
        avoid_topic: questions asked about these topics elsewhere, a few.
        absent: labels that the corpus knows and this image does not show.
        seed: for teachers with chance.
        max_pixels: pictures are shown with at most this many pixels.
        boxes: convention of boxes in questions and answers.
    """

    record: ImageRecord
    ids: float
    sub_scores: Mapping[str, float]
    items: int
    families: Mapping[str, int]
    topics: tuple[Label, ...] = ()
    evidence: Mapping[str, str] = field(default_factory=dict)
    capabilities: Mapping[str, Label] = field(default_factory=dict)
    slots: tuple[Slot, ...] = ()
    avoid: tuple[str, ...] = ()
    avoid_topic: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    seed: int = 0
    spare: int = 0
    max_pixels: int = SENT_PIXELS
    boxes: str = "relative_1000"


@dataclass(frozen=True)
class Candidate:
    """One proposed QA.

    Attributes:
        question: what is asked.
        answer: short gold answer.
        capability: leaf of the capability tree.
        answer_type: ``text``, ``number``, ``choice``, ``yesno`` or ``box``.
        rationale: one or two sentences that lead to the answer; verbose replies start with it.
        knowledge: leaf of the knowledge tree, or None.
        difficulty: in [0, 1]; None: the image's grade, or half.
        type: ``verifiable`` or ``open``.
        slot: which slot it fills, or -1 when the teacher was not given slots.
    """

    question: str
    answer: str
    capability: str
    answer_type: str = "text"
    rationale: str = ""
    knowledge: str | None = None
    difficulty: float | None = None
    type: str = "verifiable"
    slot: int = -1

    def response(self, verbose: bool) -> str:
        """The supervised reply; always ends with ``answer: <answer>``."""
        return f"{self.rationale} answer: {self.answer}" if verbose and self.rationale else f"answer: {self.answer}"


@dataclass(frozen=True)
class Written:
    """What a model teacher made of one job: candidates, and ``(reason, detail)`` of every item that was unusable."""

    candidates: tuple[Candidate, ...]
    refused: tuple[tuple[str, str], ...] = ()


@runtime_checkable
class LocalTeacher(Protocol):
    """Writes QA itself; more than ``job.items`` is welcome: the step chooses by family quotas and deficits."""

    def propose(self, job: Job) -> list[Candidate]:
        """QA about one image."""


@runtime_checkable
class ModelTeacher(Protocol):
    """Has a model server write exactly ``job.slots``."""

    rounds: int
    """How often it may be asked for the slots that are still missing."""

    def task(self, job: Job, part: int) -> Task[Written]:
        """The request for one image; ``part`` counts the rounds from 0."""


class _Function:
    def __init__(self, function: Any, options: Mapping[str, Any]) -> None:
        self.function, self.options = function, dict(options)

    def propose(self, job: Job) -> list[Candidate]:
        return list(self.function(job, **self.options))


def build_teacher(choice: TeacherChoice) -> LocalTeacher | ModelTeacher:
    """The chosen teacher with its options.

    Raises:
        RegistryError: no such teacher, an option it does not have, or something that is no teacher.
    """
    name, options = choice.name, choice.options
    made = registry.get_registered("teacher", name)
    registry.check_options("teacher", name, options)
    if inspect.isclass(made):
        teacher = made(**options)
        if isinstance(teacher, ModelTeacher | LocalTeacher):
            return teacher
        raise registry.RegistryError(f"teacher {name!r} ({made.__qualname__}) needs a method propose(job) or task(job)")
    positional = [
        p for p in inspect.signature(made).parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    if len(positional) != 1:
        shown = ", ".join(p.name for p in positional) or "none"
        raise registry.RegistryError(
            f"teacher {name!r} must take exactly one positional parameter, the job, and options after `*`; "
            f"it takes: {shown}"
        )
    return _Function(made, options)
