"""The ablation's own question templates: short, lower case, each with one right answer by a scene's exact truth.

They are those that its published figures were measured with; the quickstart's questions come from the ordinary teacher
``annotations``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mindgpt_data.pictures import KINDS
from mindgpt_data.world.scene import Scene, SceneThing


@dataclass(frozen=True)
class Candidate:
    """One proposed QA.

    Attributes:
        capability: leaf of the capability tree.
        question: what is asked.
        answer: short gold answer.
        answer_type: ``text``, ``number``, ``choice`` or ``yesno``.
        reason: one or two sentences that lead to the answer; the verbose reply starts with it.
        knowledge: leaf of the knowledge tree, or None.
    """

    capability: str
    question: str
    answer: str
    answer_type: str
    reason: str
    knowledge: str | None = None

    def response(self, verbose: bool) -> str:
        """The supervised reply; always ends with ``answer: <answer>``."""
        return f"{self.reason} answer: {self.answer}" if verbose else f"answer: {self.answer}"


def from_truth(scene: Scene) -> list[Candidate]:
    """Every question of our templates that has one right answer in ``scene``, in a fixed order.

    The same question may come up more than once (two red circles each give "how many shapes are red?"); the
    ``duplicates`` gate removes those.
    """
    return list(_general(scene) if scene.world == "general" else _domain(scene))


def _general(scene: Scene) -> Iterator[Candidate]:
    shapes = scene.of("shape")
    for thing in shapes:
        a, what = f"{thing.colour} {thing.name}", f"the {thing.name}"
        seen = f"i see a {a} at the {thing.position}."
        if _count(shapes, name=thing.name) == 1:
            yield Candidate("perception.colour", f"what colour is {what}?", thing.colour, "text", seen)
        if _count(shapes, colour=thing.colour) == 1:
            yield Candidate("perception.shape", f"what shape is {thing.colour}?", thing.name, "text", seen)
        if _count(shapes, colour=thing.colour) == 1:
            yield Candidate("spatial.position", f"where is the {thing.colour} shape?", thing.position, "choice", seen)
        elif _count(shapes, name=thing.name, colour=thing.colour) == 1:
            yield Candidate("spatial.position", f"where is the {a}?", thing.position, "choice", seen)
        yield _how_many(f"how many {_plural(thing.name)} are there?", [t for t in shapes if t.name == thing.name])
        yield _how_many(f"how many shapes are {thing.colour}?", [t for t in shapes if t.colour == thing.colour])
    yield _how_many("how many shapes are there?", shapes)
    for one, other, side in _neighbours(shapes):
        if _count(shapes, name=other.name) == 1:
            reason = f"i see a {one.colour} {one.name} {side} the {other.name}."
            question = f"what colour is the shape {side} the {other.name}?"
            yield Candidate("spatial.relation", question, one.colour, "text", reason)
    for word in scene.of("word"):
        reason = f"i see a word at the {word.position}."
        yield Candidate("text.reading", "what word is written?", word.name, "text", reason)


def _domain(scene: Scene) -> Iterator[Candidate]:
    vehicles, signs = scene.of("vehicle"), scene.of("sign")
    for thing in vehicles:
        kind, seen = KINDS[thing.name], f"i see a {thing.name} at the {thing.position}."
        where = "" if len(vehicles) == 1 else f" at the {thing.position}"
        yield Candidate(
            "knowledge.vehicle", f"which vehicle is{where or ' shown'}?", thing.name, "text", seen, kind.leaf
        )
        yield Candidate(
            "knowledge.travel",
            f"where does the vehicle{where} travel?",
            kind.travels,
            "text",
            f"{seen} it belongs to {kind.travels}.",
            kind.leaf,
        )
        if _count(vehicles, name=thing.name) == 1:
            yield Candidate(
                "spatial.position", f"where is the {thing.name}?", thing.position, "choice", seen, kind.leaf
            )

        alike = [t for t in vehicles if t.name == thing.name]
        yield _how_many(f"how many {_plural(thing.name)} are there?", alike, kind.leaf)
    if vehicles:
        yield _how_many("how many vehicles are there?", vehicles, KINDS[vehicles[0].name].leaf)
    for sign in signs:
        kind, seen = KINDS[sign.name], f"i see a sign at the {sign.position}."
        yield Candidate("knowledge.sign", "what does the sign mean?", kind.means, "text", seen, kind.leaf)
        yield Candidate("spatial.position", "where is the sign?", sign.position, "choice", seen, kind.leaf)
    for one, other, side in _neighbours(list(scene.things)):
        if other.family == "sign" and one.family == "vehicle":
            reason = f"i see a {one.name} {side} the sign."
            question = f"which vehicle is {side} the sign?"
            yield Candidate("spatial.relation", question, one.name, "text", reason, KINDS[one.name].leaf)


def _how_many(question: str, things: list[SceneThing], leaf: str | None = None) -> Candidate:
    places = " and the ".join(thing.position for thing in things)
    return Candidate("perception.count", question, str(len(things)), "number", f"i look at the {places}.", leaf)


def _count(things: list[SceneThing], name: str | None = None, colour: str | None = None) -> int:
    return sum((name in (None, t.name)) and (colour in (None, t.colour)) for t in things)


def _neighbours(things: list[SceneThing]) -> Iterator[tuple[SceneThing, SceneThing, str]]:
    """(one, other, side) such that ``one`` is the only thing on that side of ``other``, in any row or column."""
    for other in things:
        for side, inside in (
            ("left of", [t for t in things if t.column < other.column]),
            ("right of", [t for t in things if t.column > other.column]),
            ("above", [t for t in things if t.row < other.row]),
            ("below", [t for t in things if t.row > other.row]),
        ):
            if len(inside) == 1:
                yield inside[0], other, side


def _plural(name: str) -> str:
    return f"{name}es" if name.endswith("s") else f"{name}s"
