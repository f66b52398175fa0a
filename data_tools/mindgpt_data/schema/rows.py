"""The one row schema that every step and both trainers share (source of the shape: ours)."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mindgpt_plugins.answers import ANSWER_TYPES, BOX_CONVENTIONS

SCHEMA = 2
"""Version of the row schema; 1 had no ``schema``, ``video`` and ``boxes``."""
ITEM_TYPES = ("verifiable", "open", "adversarial")
SUB_SCORES = ("subjects", "spatial", "text", "knowledge")
"""The four dimensions of the Information Density Score, each in [0, 5]."""
PAIR_KINDS = ("right_wrong", "grounded_blind", "concise_verbose")


class RowError(ValueError):
    """A row or pair is malformed; the message names the field, the value and the row."""


@dataclass(frozen=True)
class Row:
    """One question about zero or more images, with its gold answer and its full supervised reply.

    Attributes:
        uid: unique over a whole run; stable in the seed.
        image: file names relative to the datasets folder, e.g. ``images/ab12.png``.
        question: what is asked, without ``<image>`` tags.
        answer: the short gold answer, e.g. ``red``.
        response: the supervised reply; ends with ``answer: <answer>``. Empty for prompts-only sets.
        answer_type: how answers are compared, one of :data:`~mindgpt_plugins.answers.ANSWER_TYPES`.
        source: where the row comes from (``general``, ``domain``, …): mixtures and losses weight by it.
        knowledge: label-tree leaf of the knowledge dimension, or None.
        capability: label-tree leaf of the capability dimension, e.g. ``perception.colour``.
        ids: Information Density Score of the image, in [0, 1].
        sub_scores: the four dimensions of the score, each in [0, 5].
        difficulty: in [0, 1]; the scene's grade for the ``annotations`` teacher.
        type: ``verifiable``, ``open`` or ``adversarial``.
        twin_uid: for adversarial rows, the answerable twin.
        split: the set's split (``train``, ``dev``, ``test``).
        video: paths of videos, passed through to the trainers unread.
        boxes: convention of the boxes in question, answer and response (one of
            :data:`~mindgpt_plugins.answers.BOX_CONVENTIONS`), or None when there are none. A ``box`` answer is four
            numbers in it.
    """

    uid: str
    image: list[str]
    question: str
    answer: str
    response: str
    answer_type: str
    source: str
    capability: str
    knowledge: str | None = None
    ids: float = 0.0
    sub_scores: dict[str, float] = field(default_factory=lambda: dict.fromkeys(SUB_SCORES, 0.0))
    difficulty: float = 0.0
    type: str = "verifiable"
    twin_uid: str | None = None
    split: str = "train"
    video: list[str] = field(default_factory=list)
    boxes: str | None = None

    def __post_init__(self) -> None:
        if not self.uid:
            raise RowError("a row needs a uid")
        if self.answer_type not in ANSWER_TYPES:
            raise RowError(f"row {self.uid}: answer_type {self.answer_type!r} is not one of {', '.join(ANSWER_TYPES)}")
        if self.type not in ITEM_TYPES:
            raise RowError(f"row {self.uid}: type {self.type!r} is not one of {', '.join(ITEM_TYPES)}")
        for name, value in (("ids", self.ids), ("difficulty", self.difficulty)):
            if not 0.0 <= value <= 1.0:
                raise RowError(f"row {self.uid}: {name} {value} is outside [0, 1]")
        if set(self.sub_scores) != set(SUB_SCORES) or not all(0.0 <= s <= 5.0 for s in self.sub_scores.values()):
            raise RowError(
                f"row {self.uid}: sub_scores must hold {', '.join(SUB_SCORES)}, each in [0, 5]; got {self.sub_scores}"
            )
        if self.boxes is not None and self.boxes not in BOX_CONVENTIONS:
            raise RowError(f"row {self.uid}: boxes {self.boxes!r} is not one of {', '.join(BOX_CONVENTIONS)}")
        if self.answer_type == "box" and self.boxes is None:
            raise RowError(f"row {self.uid}: a box answer needs its convention in `boxes`")

    @property
    def prompt(self) -> str:
        """The question with one ``<image>`` or ``<video>`` tag per medium, as both trainers want it."""
        return "<image>" * len(self.image) + "<video>" * len(self.video) + self.question

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data; the inverse of :meth:`from_json`."""
        return {"schema": SCHEMA, **vars(self)}  # not `asdict`: its deep copies took most of the time of writing a file

    @classmethod
    def from_json(cls, data: Mapping[str, Any], where: str = "row") -> Row:
        """Build a row from JSON data, refusing missing, unknown and wrongly typed fields.

        Args:
            data: one decoded JSON object.
            where: named in errors, e.g. ``train.jsonl line 3``.

        Raises:
            RowError: naming the field and the place.
        """
        version = data.get("schema", 1)
        if version not in range(1, SCHEMA + 1):
            raise RowError(f"{where}: row schema {version!r}; this version reads 1 to {SCHEMA}; upgrade")
        data = {key: value for key, value in data.items() if key != "schema"}
        fields = {f.name: f for f in dataclasses.fields(cls)}
        unknown = sorted(set(data) - set(fields))
        if unknown:
            raise RowError(f"{where}: unknown field {unknown[0]!r}; a row has: {', '.join(fields)}")
        missing = [
            n
            for n, f in fields.items()
            if n not in data and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        ]
        if missing:
            raise RowError(f"{where}: field {missing[0]!r} is missing")
        checks = _checks()
        for name, value in data.items():
            if not checks[name](value):
                raise RowError(f"{where}: field {name!r} must be {typing.get_type_hints(cls)[name]}, got {value!r}")
        try:
            return cls(**data)
        except RowError as error:
            raise RowError(f"{where}: {error}") from None


@dataclass(frozen=True)
class Pair:
    """A preference: two replies to one row's prompt.

    Attributes:
        row: the prompt, its images and its labels.
        chosen: the better reply.
        rejected: the worse reply.
        pair_kind: why it is worse: ``right_wrong``, ``grounded_blind`` or ``concise_verbose``.
    """

    row: Row
    chosen: str
    rejected: str
    pair_kind: str

    def __post_init__(self) -> None:
        if self.pair_kind not in PAIR_KINDS:
            raise RowError(f"pair {self.row.uid}: pair_kind {self.pair_kind!r} is not one of {', '.join(PAIR_KINDS)}")
        if self.chosen == self.rejected:
            raise RowError(f"pair {self.row.uid}: chosen and rejected are the same reply: {self.chosen!r}")


Check = Callable[[Any], bool]


@functools.cache  # evaluating the hints for every value took most of the time of reading a file
def _checks() -> dict[str, Check]:
    """Field of a row → whether a value decoded from JSON is of its type."""
    return {name: _check_of(hint) for name, hint in typing.get_type_hints(Row).items()}


def _check_of(hint: Any) -> Check:
    origin, parts = typing.get_origin(hint), [_check_of(part) for part in typing.get_args(hint)]
    if origin in (typing.Union, types.UnionType):
        return lambda value: any(fits(value) for fits in parts)
    if origin is list:
        return lambda value: isinstance(value, list) and all(map(parts[0], value))
    if origin is dict:
        return lambda value: isinstance(value, dict) and all(map(parts[1], value.values()))
    if hint is float:
        return lambda value: isinstance(value, (int, float)) and not isinstance(value, bool)
    return lambda value: isinstance(value, hint)
