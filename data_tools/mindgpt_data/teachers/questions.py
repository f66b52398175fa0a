"""Questions with one right answer, written from exact truth; one function per kind (ours).

A question is asked only where truth leaves no doubt: its referent is unique, places and sizes differ by a clear margin,
and boxes that decide left and right do not overlap. Labels of a corpus are taken as exclusive and complete: what is not
annotated is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from zlib import crc32

from mindgpt_data.corpus.truth import (
    SEEN,
    Thing,
    Truth,
    add_article,
    find_furthest_thing,
    find_separations,
    mentions_phrase,
    pluralise_label,
)
from mindgpt_data.schema.boxes import BoxError, format_box
from mindgpt_data.teachers.base import Job
from mindgpt_data.teachers.check import make_box_frame

LARGER = 2.0
"""How much more of the picture the larger of two must cover before a question compares them."""


@dataclass(frozen=True)
class Question:
    """A question of one kind: what is asked, the answer and its type, why, and the label it is about.

    ``aspects`` name finer capabilities, best first; one is used where the tree has a leaf of that name.
    """

    ask: str
    answer: str
    answer_type: str
    why: str
    about: str = ""
    type: str = "verifiable"
    aspects: tuple[str, ...] = ()


def ask_count(truth: Truth, job: Job) -> Iterator[Question]:
    """How many of a label, and of a label with a colour."""
    for label, things in truth.counted().items():
        yield Question(
            f"How many {pluralise_label(label)} are in the picture?", str(len(things)), "number", _seen(things), label
        )
        colours = {t.attributes["colour"] for t in things if "colour" in t.attributes}
        if len(colours) > 1 and all("colour" in t.attributes for t in things):
            for colour in sorted(colours):
                those = [t for t in things if t.attributes["colour"] == colour]
                ask = f"How many {colour} {pluralise_label(label)} are in the picture?"
                yield Question(ask, str(len(those)), "number", _seen(those), label, aspects=("count_filtered",))


def ask_presence(truth: Truth, job: Job) -> Iterator[Question]:
    """Is there one? As often yes as no, as far as the corpus knows labels that are absent."""
    for (label, things), absent in zip(truth.counted().items(), job.absent, strict=False):
        yield Question(
            f"Is there {add_article(label)} in the picture?", "yes", "yesno", describe_things(things[0]), label
        )
        shown = ", ".join(dict.fromkeys(t.label for t in truth.things))
        why = f"I see only: {shown}."
        yield Question(f"Is there {add_article(absent)} in the picture?", "no", "yesno", why, absent)


def ask_attribute(truth: Truth, job: Job) -> Iterator[Question]:
    """A property of the only thing of its label, or of its category."""
    for thing in truth.alone():
        name = truth.named(thing)
        for key, value in sorted(thing.attributes.items()):
            if mentions_phrase(name, value):
                continue  # "What is the meaning of the stop sign?" answers itself
            ask = f"What {key} is the {name}?" if key in SEEN else f"What is the {key} of the {name}?"
            yield Question(ask, value, "text", describe_things(thing), thing.label, aspects=(key, thing.category))


def ask_identity(truth: Truth, job: Job) -> Iterator[Question]:
    """What a thing is, named by its category, its place or a colour that nothing else has."""
    for thing in truth.alone():
        if truth.named(thing) != thing.label:
            ask = f"Which {thing.category} is in the picture?"
            yield Question(ask, thing.label, "text", describe_things(thing), thing.label, aspects=(thing.category,))
    placed = [t for t in truth.things if t.position is not None]
    if len(placed) == len(truth.things):
        for thing in placed:
            if sum(_reaches(o, thing) for o in (*truth.things, *truth.texts)) == 1:
                ask = f"What is shown at the {thing.position}?"
                yield Question(ask, thing.label, "text", describe_things(thing), thing.label, aspects=(thing.category,))
    coloured = [t.attributes.get("colour", "") for t in truth.things]
    if all(coloured) and len(truth.things) > 1:
        for thing, colour in zip(truth.things, coloured, strict=True):
            if coloured.count(colour) == 1 and thing.label not in truth.crowds:
                yield Question(f"Which object is {colour}?", thing.label, "text", describe_things(thing), thing.label)


def ask_position(truth: Truth, job: Job) -> Iterator[Question]:
    """In which of nine parts of the picture a thing lies."""
    for thing in truth.alone():
        if thing.position is not None:
            ask = f"Where in the picture is the {thing.label}, for example top left, centre or bottom?"
            yield Question(ask, thing.position, "choice", describe_things(thing), thing.label)


def ask_relation(truth: Truth, job: Job) -> Iterator[Question]:
    """Left or right, above or below, between two subjects; and which one lies furthest out."""
    alone = truth.alone()
    for pair in combinations(alone, 2):
        # Which of the two is named first is decided by their names, so that no answer is the usual one.
        one, other = pair if crc32(f"{pair[0].label}/{pair[1].label}/{job.record.image}".encode()) % 2 else pair[::-1]
        for side, opposite in find_separations(one, other):
            horizontal = side in ("left", "right")
            first, second = sorted((side, opposite))
            choice = f"to the {first} or to the {second} of" if horizontal else f"{first} or {second}"
            ask = f"Is the {one.label} {choice} the {other.label}?"
            yield Question(ask, side, "choice", describe_things(one, other), one.label)
    if not truth.crowds:
        for side in ("left", "right", "top", "bottom"):
            thing = find_furthest_thing(truth.things, side)
            if thing is not None and thing in alone:
                yield Question(
                    f"Which object is furthest to the {side}?", thing.label, "text", describe_things(thing), thing.label
                )


def ask_size(truth: Truth, job: Job) -> Iterator[Question]:
    """Which of two covers more of the picture, by at least a factor of two."""
    for pair in combinations([t for t in truth.alone() if t.place is not None], 2):
        large, small = sorted(pair, key=lambda t: -t.area)
        if large.area >= LARGER * small.area:
            first, second = sorted((large.label, small.label))
            why = f"The {large.label} covers more of the picture than the {small.label}."
            ask = f"Which takes up more of the picture, the {first} or the {second}?"
            yield Question(ask, large.label, "choice", why, large.label)


def ask_reading(truth: Truth, job: Job) -> Iterator[Question]:
    """What is written: all of it when there is one text, else by its place."""
    if len(truth.texts) == 1:
        one = truth.texts[0]
        yield Question("What text can be read in the picture?", one.label, "text", _text_at(one), one.label)
        return
    for one in truth.texts:
        places = [o.position for o in truth.texts]
        if one.position is not None and None not in places and places.count(one.position) == 1:
            yield Question(f"What text can be read at the {one.position}?", one.label, "text", _text_at(one), one.label)


def ask_grounding(truth: Truth, job: Job) -> Iterator[Question]:
    """Where exactly a thing is, in the job's box convention."""
    where = make_box_frame(job)
    for thing in truth.alone():
        if thing.box is None:
            continue
        try:
            answer = format_box(where.write(thing.box))
        except BoxError:
            continue  # a box thinner than a unit of the convention cannot be written down
        ask = f"Where exactly is the {thing.label}? Answer with its box {where.words}."
        yield Question(ask, answer, "box", f"The {thing.label} fills {answer}.", thing.label)


def ask_description(truth: Truth, job: Job) -> Iterator[Question]:
    """The corpus' own caption."""
    for ask, caption in zip(
        ("Describe the picture.", "What does the picture show?"), job.record.captions, strict=False
    ):
        yield Question(ask, caption.strip(), "text", "", "", "open")


KINDS: dict[str, Callable[[Truth, Job], Iterator[Question]]] = {
    "count": ask_count,
    "presence": ask_presence,
    "attribute": ask_attribute,
    "identify": ask_identity,
    "position": ask_position,
    "relation": ask_relation,
    "size": ask_size,
    "reading": ask_reading,
    "grounding": ask_grounding,
    "description": ask_description,
}


def is_about_evidence(question: Question, evidence: str) -> bool:
    """Is the question about the words a topic was matched by?"""
    return bool(question.about) and mentions_phrase(evidence, question.about)


def describe_things(*things: Thing) -> str:
    """What is seen of things and where, as far as it is beyond doubt, e.g. "I see a red car at the top left".

    Every reply that reasons before it answers begins so, whatever is asked: a look, not the answer in other words.
    """
    parts = []
    for thing in things:
        colour = next((thing.attributes[key] for key in ("colour", "color") if key in thing.attributes), "")
        place = f" at the {thing.position}" if thing.position is not None else ""
        parts.append(f"{add_article(f'{colour} {thing.label}'.strip())}{place}")
    return f"I see {' and '.join(parts)}."


def _text_at(one: Thing) -> str:
    return f"I see a text at the {one.position}." if one.position is not None else f"It reads {one.label!r}."


def _seen(things: list[Thing]) -> str:
    places = [f"at the {t.position}" for t in things if t.position is not None]
    label = things[0].label
    if len(things) == 1:
        return describe_things(things[0])
    if len(places) == len(things):
        return f"I see {len(things)} {pluralise_label(label)}: {', '.join(places)}."
    return f"I count {len(things)} {pluralise_label(label)}."


def _reaches(other: Thing, thing: Thing) -> bool:
    """Does ``other`` reach into the part of the picture that ``thing`` lies in?"""
    if other.place is None:
        return True
    column, row = (min(2, int(3 * v)) for v in thing.centre)
    x0, y0, x1, y1 = other.place
    return x0 < (column + 1) / 3 and x1 > column / 3 and y0 < (row + 1) / 3 and y1 > row / 3
