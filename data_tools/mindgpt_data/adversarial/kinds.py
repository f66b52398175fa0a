"""How a question loses its answer; each kind says None where it cannot be sure."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mindgpt_data.adversarial.pictures import save_blank_picture, save_covered_picture
from mindgpt_data.corpus.truth import Thing, Truth, add_article, draw_absent_labels, mentions_phrase, pluralise_label
from mindgpt_data.schema.record import ImageRecord
from mindgpt_data.schema.rows import Row

TRIES = 64
"""Other pictures that are looked at for a swap."""


@dataclass(frozen=True)
class Change:
    """What a twin differs in: its picture, its question, and why that cannot be answered."""

    image: str
    question: str
    reason: str


@dataclass(frozen=True)
class CorpusLookup:
    """What the kinds look things up in.

    Attributes:
        truths: image id → truth.
        records: image id → record.
        folder: the work folder.
    """

    truths: Mapping[str, Truth]
    records: Mapping[str, ImageRecord]
    folder: Path

    @cached_property
    def labels(self) -> list[str]:
        """Every object label, sorted."""
        return sorted({thing.label for truth in self.truths.values() for thing in truth.things})

    @cached_property
    def images(self) -> list[str]:
        """Images with one picture whose objects are known, in order."""
        return [i for i, truth in self.truths.items() if truth.things and len(self.records[i].paths) == 1]


def erase_picture(row: Row, corpus: CorpusLookup, rng: random.Random) -> Change | None:
    """The picture is one even colour; fits every question."""
    record = corpus.records[row.image[0]]
    image = save_blank_picture(record.width, record.height, rng.randrange(40, 216), corpus.folder)
    return Change(image, row.question, "the picture is blank")


def swap_picture(row: Row, corpus: CorpusLookup, rng: random.Random) -> Change | None:
    """The picture is another one, about which the corpus mentions nothing that the question names."""
    named = _named(row, corpus)
    if not named:
        return None
    for other in rng.sample(corpus.images, min(TRIES, len(corpus.images))):
        if not any(mentions_phrase(corpus.truths[other].words, label) for label in named):
            return Change(other, row.question, _missing(named[0]))
    return None


def cover_evidence(row: Row, corpus: CorpusLookup, rng: random.Random) -> Change | None:
    """A grey box lies over everything the question's first label names, or over the text it asks for."""
    truth = corpus.truths[row.image[0]]
    evidence = [text for text in truth.texts if text.label == row.answer]
    if evidence:
        evidence = list(truth.texts)
    elif named := _named(row, corpus):
        evidence = [thing for thing in truth.things if thing.label == named[0]]
    boxes = [thing.box for thing in evidence if thing.box is not None]
    if not boxes or len(boxes) < len(evidence):
        return None
    record = corpus.records[row.image[0]]
    image = save_covered_picture(Path(record.paths[0]), boxes, corpus.folder)
    return Change(image, row.question, "the part of the picture that it is about is covered")


def falsify_premise(row: Row, corpus: CorpusLookup, rng: random.Random) -> Change | None:
    """The question speaks of a thing that is not there instead of the one that is."""
    named = _named(row, corpus)
    if not named:
        return None
    others = draw_absent_labels(corpus.truths[row.image[0]], corpus.labels, rng, 1)
    if not others or mentions_phrase(row.question, others[0]):
        return None
    return Change(row.image[0], _renamed(row.question, named[0], others[0]), _missing(others[0]))


KINDS: dict[str, Callable[[Row, CorpusLookup, random.Random], Change | None]] = {
    "covered": cover_evidence,
    "false_premise": falsify_premise,
    "swapped": swap_picture,
    "blank": erase_picture,
}
"""Those that fit fewest rows first."""


def _named(row: Row, corpus: CorpusLookup) -> list[str]:
    """Labels of the picture's things that the question names, the first named first."""
    things: tuple[Thing, ...] = corpus.truths[row.image[0]].things
    found = {thing.label for thing in things if mentions_phrase(row.question, thing.label)}
    # "sign" inside "stop sign" is not named by itself.
    whole = [label for label in found if not any(other != label and mentions_phrase(other, label) for other in found)]
    return sorted(whole, key=lambda label: (row.question.casefold().find(label.casefold()), label))


def _missing(label: str) -> str:
    return f"there is no {label} in the picture"


def _renamed(question: str, label: str, other: str) -> str:
    for old, new in ((pluralise_label(label), pluralise_label(other)), (label, other)):
        question = re.sub(rf"\b(a|an) {re.escape(old)}\b", add_article(new), question, flags=re.IGNORECASE)
        question = re.sub(rf"(?<!\w){re.escape(old)}(?!\w)", new, question, flags=re.IGNORECASE)
    return question
