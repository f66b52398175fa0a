"""Teacher ``annotations``: QA from a corpus' own truth (objects, texts, captions); right by construction (ours)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from mindgpt_data.corpus.truth import read_truth
from mindgpt_data.teachers.base import Candidate, Job, Label
from mindgpt_data.teachers.questions import KINDS, Question, is_about_evidence
from mindgpt_plugins.core.registry import hint_nearest

SERVES: dict[str, tuple[str, ...]] = {
    "count": ("count", "counting", "quantity"),
    "presence": ("presence", "existence", "object_presence"),
    "attribute": ("colour", "color", "attribute", "attributes", "appearance"),
    "identify": ("category", "identification", "identify", "recognition", "object_recognition", "object", "shape"),
    "position": ("position", "location", "absolute_position"),
    "relation": ("relation", "relative_position", "spatial_relation", "left_right", "arrangement"),
    "size": ("size", "relative_size", "size_comparison", "comparison"),
    "reading": ("reading", "text_reading", "transcription", "ocr", "scene_text"),
    "grounding": ("grounding", "box", "localisation", "localization", "referring"),
    "description": ("description", "captioning", "scene_description", "scene", "summary"),
}
"""Kind of question → names by which a capability leaf is recognised, best first (last part of its id, or its name)."""
SCENE_FULL = 8
"""Number of things and texts at which a picture without a grade counts as fully difficult."""


class AnnotationsError(ValueError):
    """The capability tree does not fit the kinds of question; the message says which option to set."""


class Annotations:
    """Writes every question that the truth of a record answers without doubt; the step chooses among them.

    Args:
        kinds: which kinds of question (see :data:`~mindgpt_data.teachers.questions.KINDS`); default all.
        capabilities: kind → capability leaf, for trees whose leaves are not recognised by name.

    Raises:
        AnnotationsError: an unknown kind.
    """

    def __init__(self, *, kinds: Sequence[str] = tuple(KINDS), capabilities: Mapping[str, str] | None = None) -> None:
        self.kinds, self.given = tuple(kinds), dict(capabilities or {})
        for kind in (*self.kinds, *self.given):
            if kind not in KINDS:
                known = ", ".join(KINDS)
                raise AnnotationsError(
                    f"there is no kind of question {kind!r}{hint_nearest(kind, KINDS)} Known: {known}"
                )

    def propose(self, job: Job) -> list[Candidate]:
        """Every question of the kinds asked for, in a fixed order; pictures after the first are not asked about."""
        truth = read_truth(job.record)
        named = _names(job.capabilities)
        leaves = self.served(job.capabilities)
        grade = job.record.difficulty
        if grade is None:
            grade = min(1.0, (len(truth.things) + len(truth.texts)) / SCENE_FULL)
        return [
            Candidate(
                question=question.ask,
                answer=question.answer,
                capability=leaves[kind] if kind in self.given else _finest(question, named, leaves[kind]),
                answer_type=question.answer_type,
                rationale=question.why,
                knowledge=_topic(question, job),
                difficulty=grade,
                type=question.type,
            )
            for kind in self.kinds
            if kind in leaves
            for question in KINDS[kind](truth, job)
        ]

    def served(self, capabilities: Mapping[str, Label]) -> dict[str, str]:
        """Kind → capability leaf; kinds that no leaf serves are not asked.

        Raises:
            AnnotationsError: a given leaf does not exist, or no kind is served.
        """
        found, named = dict[str, str](), _names(capabilities)
        for kind in self.kinds:
            leaf = self.given.get(kind) or _recognised(kind, named)
            if leaf is not None and leaf not in capabilities:
                raise AnnotationsError(
                    f"generate.teacher.options.capabilities.{kind}: there is no capability leaf {leaf!r}"
                    f"{hint_nearest(leaf, capabilities)}"
                )
            if leaf is not None:
                found[kind] = leaf
        if not found:
            raise AnnotationsError(
                f"no leaf of the capability tree serves any of the kinds {', '.join(self.kinds)}; say which does with "
                "generate.teacher.options.capabilities, e.g. {count: perception.count}"
            )
        return found


def _recognised(kind: str, named: Mapping[str, str]) -> str | None:
    return next((named[name] for name in SERVES[kind] if name in named), None)


def _finest(question: Question, named: Mapping[str, str], leaf: str) -> str:
    """The leaf of the first aspect that the tree has one for."""
    return next((named[name] for aspect in question.aspects if (name := _slug(aspect)) in named), leaf)


def _names(capabilities: Mapping[str, Label]) -> dict[str, str]:
    """What a leaf may be recognised by (the last part of its id, its name) → its id; the first in the tree wins."""
    found: dict[str, str] = {}
    for label in capabilities.values():
        for name in (re.split(r"[./]", label.leaf)[-1], label.name):
            found.setdefault(_slug(name), label.leaf)
    return found


def _slug(name: str) -> str:
    return re.sub(r"\W+", "_", name.casefold()).strip("_")


def _topic(question: Question, job: Job) -> str | None:
    """The matched topic that the question speaks of, by the words it was matched by or by its name."""
    for topic in job.topics:
        if is_about_evidence(question, job.evidence.get(topic.leaf, "")) or is_about_evidence(question, topic.name):
            return topic.leaf
    return None
