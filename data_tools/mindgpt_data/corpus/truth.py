"""A record's truth as things in a picture: who is where, and what can be said of it without doubt."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from mindgpt_data.schema.record import ImageRecord

CLEAR = 0.05
"""Share of the picture by which two places must differ before a question may tell them apart."""
LOOKED_AT = 512
"""Labels of a corpus that are tried as absent ones."""
ROWS, COLUMNS = ("top", "", "bottom"), ("left", "", "right")
_IRREGULAR = {
    "person": "people", "man": "men", "woman": "women", "child": "children", "mouse": "mice", "foot": "feet",
    "tooth": "teeth", "goose": "geese", "knife": "knives", "wolf": "wolves", "leaf": "leaves", "shelf": "shelves",
    "calf": "calves", "loaf": "loaves", "half": "halves",
}  # fmt: skip
_SAME = {"sheep", "fish", "deer", "aircraft", "broccoli", "skis", "scissors", "glasses", "trousers", "pants", "series"}

SEEN = frozenset({"colour", "color", "shape", "material", "size"})
"""Attributes that are seen in the picture; any other is something that is known of a thing."""
CATEGORY = ("category", "supercategory")
"""Attributes that name what kind of thing a label is: they are referred to, never asked for."""
_WORD = re.compile(r"[^\W_]+")
_VOWEL = re.compile(r"(?!one\b|once\b|uni[^mn]|us[ei]|eu|ufo)[aeiou]|hour|honest|heir|x-ray", re.IGNORECASE)
"""Spelled as if it began with a vowel sound, as far as labels go."""


@dataclass(frozen=True)
class Thing:
    """One annotated object; coordinates are shares of the picture's width and height.

    Attributes:
        label: what it is called.
        box: ``[x0, y0, x1, y1]`` in pixels of the picture on disk, or None.
        place: the same as shares, or None.
        attributes: those with a plain text value, e.g. ``colour``.
        category: what kind of thing it is (``vehicle``), or empty.
    """

    label: str
    box: tuple[float, float, float, float] | None = None
    place: tuple[float, float, float, float] | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    category: str = ""

    @property
    def centre(self) -> tuple[float, float]:
        """Middle of the box; only for things that have one."""
        assert self.place is not None
        return (self.place[0] + self.place[2]) / 2, (self.place[1] + self.place[3]) / 2

    @property
    def area(self) -> float:
        """Share of the picture that the box covers; 0 without one."""
        return 0.0 if self.place is None else (self.place[2] - self.place[0]) * (self.place[3] - self.place[1])

    @property
    def position(self) -> str | None:
        """``top left`` … ``centre`` … ``bottom right``, or None where the place is in doubt.

        In doubt: the middle lies near a border between two thirds, or the thing spans half the picture.
        """
        if self.place is None or max(self.place[2] - self.place[0], self.place[3] - self.place[1]) > 0.5:
            return None
        cells = [_third(value) for value in self.centre]
        if None in cells:
            return None
        return f"{ROWS[cells[1] or 0]} {COLUMNS[cells[0] or 0]}".strip() or "centre"


@dataclass(frozen=True)
class Truth:
    """Everything the record says is in its picture.

    Attributes:
        things: its objects.
        crowds: labels with an annotation for a group ("iscrowd"): they cannot be counted or told apart.
        texts: readable texts as things whose label is the text.
        words: every word the corpus has about the picture, lower case.
    """

    things: tuple[Thing, ...]
    crowds: frozenset[str]
    texts: tuple[Thing, ...]
    words: str

    def alone(self) -> list[Thing]:
        """Things that their label names without doubt."""
        counts = Counter(thing.label for thing in self.things)
        return [t for t in self.things if counts[t.label] == 1 and t.label not in self.crowds and not self._part(t)]

    def _part(self, thing: Thing) -> bool:
        """Is the label a word of another label (``sign`` beside ``stop sign``)? Then "the sign" could be either."""
        return any(o.label != thing.label and mentions_phrase(o.label, thing.label) for o in self.things)

    def named(self, thing: Thing) -> str:
        """What a question calls a thing of :meth:`alone`: its category where no other thing has it, else its label.

        The category gives nothing away: "the sign" leaves open which one it is.
        """
        others = [t for t in self.things if t is not thing]
        # A category that is a label too, or a word of one ("sign" beside "stop sign"), could mean either.
        doubt = any(t.category == thing.category or mentions_phrase(t.label, thing.category) for t in others)
        return thing.label if not thing.category or self.crowds or doubt else thing.category

    def counted(self) -> dict[str, list[Thing]]:
        """Label → its things, where their number is beyond doubt."""
        found: dict[str, list[Thing]] = {}
        for thing in self.things:
            if thing.label not in self.crowds and not self._part(thing):
                found.setdefault(thing.label, []).append(thing)
        return found


def read_truth(record: ImageRecord) -> Truth:
    """The truth of a record; labels keep their spelling, with ``_`` as a blank."""
    things, crowds = [], set()
    for one in record.objects:
        attributes = one.get("attributes") or {}
        label = str(one["label"]).replace("_", " ").strip()
        if any(attributes.get(key) for key in ("iscrowd", "crowd")):
            crowds.add(label)
        kept = {k: v.strip() for k, v in attributes.items() if isinstance(v, str) and v.strip()}
        category = next((kept[key] for key in CATEGORY if key in kept), "")
        told = {key: value for key, value in kept.items() if key not in CATEGORY}
        things.append(replace(_thing(label, one.get("box"), record, told), category=category))
    texts = tuple(_thing(str(one["text"]).strip(), one.get("box"), record, {}) for one in record.texts)
    return Truth(tuple(things), frozenset(crowds), tuple(t for t in texts if t.label), " ; ".join(_words(record)))


def mentions_phrase(text: str, phrase: str) -> bool:
    """Does ``text`` hold ``phrase`` as whole words, in singular or plural?"""
    words = _flat(text)
    return bool(phrase.strip()) and (_flat(phrase) in words or _flat(pluralise_label(phrase)) in words)


def draw_absent_labels(truth: Truth, labels: Sequence[str], rng: random.Random, most: int) -> list[str]:
    """At most ``most`` of ``labels`` that nothing the corpus says about the image mentions, in random order."""
    words = [word for word in truth.words.split(" ; ") if word]
    found: list[str] = []
    for label in rng.sample(labels, min(len(labels), LOOKED_AT)):
        if len(found) == most:
            break
        if not any(mentions_phrase(word, label) or mentions_phrase(label, word) for word in words):
            found.append(label)
    return found


@lru_cache(maxsize=65_536)
def pluralise_label(label: str) -> str:
    """``bus`` → ``buses``; only the last word changes."""
    head, blank, word = label.rpartition(" ")
    low = word.casefold()
    if low in _IRREGULAR:
        made = _IRREGULAR[low]
    elif low in _SAME:
        made = word
    elif re.search(r"(s|x|z|ch|sh)$", low):
        made = f"{word}es"
    elif re.search(r"[^aeiou]y$", low):
        made = f"{word[:-1]}ies"
    else:
        made = f"{word}s"
    return f"{head}{blank}{made}"


def add_article(label: str) -> str:
    """``an apple``, ``a bus``, ``a one way sign``, ``an hourglass``."""
    return f"{'an' if _VOWEL.match(label) else 'a'} {label}"


def find_furthest_thing(things: Iterable[Thing], side: str) -> Thing | None:
    """The thing that clearly lies furthest to ``side`` (left, right, top, bottom) of all, or None."""
    axis, sign = (0 if side in ("left", "right") else 1), (1 if side in ("left", "top") else -1)
    placed = list(things)
    if len(placed) < 2 or any(thing.place is None for thing in placed):
        return None
    placed.sort(key=lambda thing: sign * thing.centre[axis])
    first, second = placed[0], placed[1]
    edge = axis if sign > 0 else axis + 2
    ahead = all(sign * (o.place[edge] - first.place[edge]) > CLEAR for o in placed[1:])  # type: ignore[index]
    return first if ahead and sign * (second.centre[axis] - first.centre[axis]) > CLEAR else None


def find_separations(one: Thing, other: Thing) -> Iterator[tuple[str, str]]:
    """``(side of one, opposite)`` on each axis where the two boxes do not overlap and are clearly apart."""
    if one.place is None or other.place is None:
        return
    for axis, (low, high) in enumerate((("left", "right"), ("above", "below"))):
        if abs(one.centre[axis] - other.centre[axis]) <= CLEAR:
            continue
        if one.place[axis + 2] <= other.place[axis]:
            yield low, high
        elif other.place[axis + 2] <= one.place[axis]:
            yield high, low


@lru_cache(maxsize=65_536)
def _flat(text: str) -> str:
    """Words in lower case between single blanks, so that whole words are found by ``in``."""
    return f" {' '.join(_WORD.findall(text.casefold()))} "


def _third(value: float) -> int | None:
    if min(abs(value - 1 / 3), abs(value - 2 / 3)) < CLEAR:
        return None
    return min(2, int(3 * value))


def _thing(label: str, box: Iterable[float] | None, record: ImageRecord, attributes: dict[str, str]) -> Thing:
    if box is None:
        return Thing(label, attributes=attributes)
    x0, y0, x1, y1 = box
    w, h = record.width, record.height
    x0, y0, x1, y1 = max(0.0, x0), max(0.0, y0), min(float(w), x1), min(float(h), y1)
    return Thing(label, (x0, y0, x1, y1), (x0 / w, y0 / h, x1 / w, y1 / h), attributes)


def _words(record: ImageRecord) -> Iterator[str]:
    yield from (str(one["label"]).replace("_", " ") for one in record.objects)
    yield from record.tags
    yield from record.captions
    yield from (str(one["text"]) for one in record.texts)
