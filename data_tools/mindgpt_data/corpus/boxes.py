"""What the boxes of a corpus are: declared and checked, or proven, never guessed; then pixels of the upright picture.

``[0.6, 0.6, 0.9, 0.9]`` may be shares or a speck in a corner, ``[100, 100, 300, 300]`` pixels, thousandths or a place
and a size. A wrong reading makes questions with wrong answers that no gate can see, so a corpus is refused rather than
read in one of two ways.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mindgpt_data.corpus.base import STEP, BoxOrigin, CorpusError
from mindgpt_data.io.work import Drop
from mindgpt_data.schema.record import ImageRecord
from mindgpt_plugins.answers import BOX_CONVENTIONS
from mindgpt_plugins.answers.box import Box, convert_boxes, find_box_misfit, list_possible_conventions, read_corners


@dataclass
class SettledBoxes:
    """A corpus whose boxes are pixels."""

    records: list[ImageRecord] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    """Convention → boxes that were written in it."""
    proven: str | None = None
    """The convention of the boxes for which none was declared; None when there are no such boxes."""


@dataclass(frozen=True)
class _Misfit:
    record: ImageRecord
    place: str
    written: Box
    convention: str
    name: str
    reason: str


def settle_boxes(
    records: Sequence[ImageRecord], origins: Mapping[str, BoxOrigin], path: str, *, drop_invalid: bool = False
) -> SettledBoxes:
    """Turn the boxes of measured records from what they are written in into corners in pixels.

    Args:
        records: measured; their boxes are four numbers as written.
        origins: of the boxes of each record, by its id.
        path: of the corpus, for messages.
        drop_invalid: whether boxes that cannot be what is declared are dropped instead of refusing the corpus.

    Raises:
        CorpusError: boxes cannot be of the declared convention, or none is declared and not exactly one fits them all.
    """
    found = SettledBoxes()
    undeclared = [r for r in records if r.image in origins and origins[r.image].convention is None]
    if undeclared:
        found.proven = _prove(undeclared, origins, path)
    misfits, counts = list[_Misfit](), Counter[str]()
    for record in records:
        if record.image not in origins:
            found.records.append(record)
            continue
        origin = origins[record.image]
        convention = origin.convention or found.proven
        if convention is None:
            raise AssertionError(f"{origin.place}: a convention is declared or proven by now")
        objects, bad = _convert(record, record.objects, "label", convention, origin.place)
        texts, bad_texts = _convert(record, record.texts, "text", convention, origin.place)
        misfits += [*bad, *bad_texts]
        counts[convention] += sum(1 for _ in _boxes([record]))
        found.records.append(replace(record, objects=objects, texts=texts))
    if misfits and not drop_invalid:
        raise CorpusError(_refuse(misfits, records, origins, path))
    found.drops = [_drop(misfit) for misfit in misfits]
    found.counts = dict(counts)
    return found


def _boxes(records: Sequence[ImageRecord]) -> Iterator[tuple[ImageRecord, Box]]:
    for record in records:
        for thing in (*record.objects, *record.texts):
            if thing["box"] is not None:
                yield record, _four(thing["box"])


def _four(box: Sequence[float]) -> Box:
    x, y, third, fourth = box
    return x, y, third, fourth


def _convert(
    record: ImageRecord, things: Sequence[dict[str, Any]], name: str, convention: str, place: str
) -> tuple[list[dict[str, Any]], list[_Misfit]]:
    size = (record.width, record.height)
    kept, misfits = list[dict[str, Any]](), list[_Misfit]()
    for thing in things:
        if thing["box"] is None:
            kept.append(thing)
            continue
        written = _four(thing["box"])
        corners = [read_corners(written, convention)]
        if reason := find_box_misfit(corners, convention, size):
            misfits.append(_Misfit(record, place, written, convention, str(thing[name]), reason))
        else:
            kept.append({**thing, "box": list(convert_boxes(corners, convention, "pixels", size)[0])})
    return kept, misfits


def _prove(records: Sequence[ImageRecord], origins: Mapping[str, BoxOrigin], path: str) -> str:
    """The only convention in which all boxes make sense.

    Raises:
        CorpusError: there are several, or none.
    """
    possible = tuple(BOX_CONVENTIONS)
    count = 0
    for record, box in _boxes(records):
        count += 1
        fitting = list_possible_conventions(box, (record.width, record.height))
        left = tuple(name for name in possible if name in fitting)
        if not left:
            before = " or ".join(possible) if count > 1 else "any convention"
            raise CorpusError(
                f"{path}: nothing declares what its boxes are, and no convention fits them all: "
                f"{origins[record.image].place}: box {list(box)} in a picture of {record.width} x {record.height} "
                f"cannot be {before}. Correct it, or declare the convention: images.boxes for the corpus, "
                f'or "boxes" in the line (one of: {", ".join(BOX_CONVENTIONS)})'
            )
        possible = left
    if len(possible) > 1:
        record, box = next(_boxes(records))
        meanings = "; ".join(f"images.boxes={name} ({BOX_CONVENTIONS[name]})" for name in possible)
        raise CorpusError(
            f"{path}: nothing declares what its boxes are, and all {count} could be {' or '.join(possible)} "
            f'(the first: {origins[record.image].place}: {list(box)}). Declare it, or write "boxes" into each line: '
            f"{meanings}"
        )
    return possible[0]


def _refuse(
    misfits: Sequence[_Misfit], records: Sequence[ImageRecord], origins: Mapping[str, BoxOrigin], path: str
) -> str:
    """What is wrong with the first misfit, and what the boxes could be instead."""
    first = misfits[0]
    size = (first.record.width, first.record.height)
    of_same = [r for r in records if r.image in origins and origins[r.image].convention == first.convention]
    boxes = [(box, (record.width, record.height)) for record, box in _boxes(of_same)]
    possible = list(list_possible_conventions(first.written, size))
    for box, shown in boxes:
        if not possible:
            break
        fitting = list_possible_conventions(box, shown)
        possible = [name for name in possible if name in fitting]
    if possible:
        hint = f'All {len(boxes)} boxes could be {" or ".join(possible)}: correct images.boxes, or "boxes" in the line'
    else:
        alone = list_possible_conventions(first.written, size)
        where = (
            f"That box could be {' or '.join(alone)}, but no convention fits all"
            if alone
            else "That box makes no sense in any convention"
        )
        hint = f"{where}: correct the line, or leave such boxes out by images.drop_invalid_boxes=true"
    return (
        f"{path}: {len(misfits)} of {len(boxes)} boxes cannot be {first.convention}. The first: {first.place}: "
        f"{first.name!r} at {list(first.written)} in a picture of {size[0]} x {size[1]}: {first.reason}. {hint}"
    )


def _drop(misfit: _Misfit) -> Drop:
    size = f"{misfit.record.width} x {misfit.record.height}"
    detail = f"{misfit.place}: {misfit.name!r} at {list(misfit.written)} in a picture of {size}: {misfit.reason}"
    return Drop(STEP, "box", f"box cannot be {misfit.convention}", misfit.record.image, detail)
