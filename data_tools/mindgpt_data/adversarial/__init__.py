"""Adversarial twins: questions that cannot be answered any more, each beside its answerable partner (ours).

Made from rows that were kept (by the ``export`` step), so that every twin has a partner that is known to be good.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mindgpt_data.adversarial.kinds import KINDS, Change, CorpusLookup
from mindgpt_data.corpus.truth import read_truth
from mindgpt_data.schema.record import ImageRecord
from mindgpt_data.schema.rows import Row

ANSWER_TYPES = ("text", "choice", "box")
"""Partners' answer types. "How many?" and "is there?" stay answerable without the thing: none, no."""


def make_twins(
    rows: Sequence[Row], records: Mapping[str, ImageRecord], folder: Path, *, share: float, seed: int = 0
) -> list[Row]:
    """``round(share · len(rows))`` twins, fewer when not enough rows allow one; kinds as even as the rows allow.

    Kinds: the picture is blank; it is another one; what the question is about is covered (boxes known); the question
    names a thing that is not there (objects known). The gold answer is ``unanswerable: <reason>``. Question, labels and
    image change only where the kind says so. Same rows, records and seed: same twins.

    Args:
        rows: kept rows; partners are verifiable, about one picture, and of :data:`ANSWER_TYPES`.
        records: image id → its record.
        folder: the work folder; new pictures go to ``adversarial/`` in it and are named relative to it in ``image``.
        share: of the rows, in [0, 1].
        seed: which rows get a twin.

    Raises:
        ImageError: a picture cannot be opened.
    """
    wanted = round(share * len(rows))
    if not wanted:
        return []
    corpus = CorpusLookup({image: read_truth(record) for image, record in records.items()}, records, folder)
    partners = sorted((row for row in rows if _partner(row, records)), key=lambda row: _digest(seed, row.uid))
    made: dict[str, Row] = {}
    # The kinds that fit fewest rows choose first; what they leave of their share goes to the next.
    for number, kind in enumerate(KINDS):
        due = len(made) + round((wanted - len(made)) / (len(KINDS) - number))
        for row in partners:
            if len(made) >= due:
                break
            if row.uid not in made:
                change = KINDS[kind](row, corpus, random.Random(f"{seed}/{kind}/{row.uid}"))
                if change is not None:
                    made[row.uid] = _twin(row, change, f"{kind}-{_digest(seed, row.uid)[:16]}")
    return [made[row.uid] for row in rows if row.uid in made]


def _twin(row: Row, change: Change, uid: str) -> Row:
    told = change.reason[0].upper() + change.reason[1:]
    answer = f"unanswerable: {change.reason}"
    return replace(
        row,
        uid=uid,
        image=[change.image],
        question=change.question,
        answer=answer,
        response=f"{told}. answer: {answer}",
        answer_type="text",
        type="adversarial",
        twin_uid=row.uid,
    )


def _partner(row: Row, records: Mapping[str, ImageRecord]) -> bool:
    if row.type != "verifiable" or row.answer_type not in ANSWER_TYPES or row.video or len(row.image) != 1:
        return False
    record = records.get(row.image[0])
    return record is not None and len(record.paths) == 1


def _digest(seed: int, uid: str) -> str:
    return hashlib.sha256(f"{seed}/{uid}".encode()).hexdigest()
