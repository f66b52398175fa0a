"""Candidates → rows of the shared schema."""

from __future__ import annotations

import hashlib

from mindgpt_data.schema.rows import Row
from mindgpt_data.teachers.base import Candidate, Job
from mindgpt_plugins.answers.box import mentions_box


def build_row(candidate: Candidate, job: Job, number: int, source: str, verbose: float) -> Row:
    """The row of one QA; its uid depends on the image and ``number`` alone, so it is the same in every run.

    Args:
        candidate: checked before.
        job: what it answers.
        number: of the slot, or of the choice among a local teacher's proposals.
        source: of the corpus the image is from.
        verbose: share of replies that reason before they answer.
    """
    digest = hashlib.sha256(f"{job.record.image}\n{number}".encode()).hexdigest()
    difficulty = candidate.difficulty
    if difficulty is None:
        difficulty = 0.5 if job.record.difficulty is None else job.record.difficulty
    boxed = candidate.answer_type == "box" or mentions_box(
        f"{candidate.question} {candidate.answer} {candidate.rationale}"
    )
    return Row(
        uid=f"qa-{digest[:16]}",
        image=[job.record.image],
        question=candidate.question,
        answer=candidate.answer,
        response=candidate.response(int(digest[16:24], 16) / 2**32 < verbose),
        answer_type=candidate.answer_type,
        source=source,
        capability=candidate.capability,
        knowledge=candidate.knowledge,
        ids=job.ids,
        sub_scores=dict(job.sub_scores),
        difficulty=difficulty,
        type=candidate.type,
        split=job.record.split or "train",
        video=list(job.record.video),
        boxes=job.boxes if boxed else None,
    )
