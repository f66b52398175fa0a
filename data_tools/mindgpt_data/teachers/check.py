"""Refuses candidates that could not become a row, whoever proposed them: one reason each."""

from __future__ import annotations

from collections.abc import Collection

from mindgpt_data.schema.boxes import BoxError, Frame, parse_box
from mindgpt_data.schema.rows import ITEM_TYPES
from mindgpt_data.teachers.base import Candidate, Job
from mindgpt_plugins.answers import ANSWER_TYPES


def find_candidate_problem(candidate: Candidate, job: Job, knowledge: Collection[str]) -> tuple[str, str] | None:
    """``(reason, detail)``, or None when it can become a row.

    Args:
        candidate: what was proposed.
        job: what was asked for.
        knowledge: ids of the knowledge tree's leaves.
    """
    shown = f"{candidate.question!r} → {candidate.answer!r}"
    if not candidate.question.strip() or not candidate.answer.strip():
        return "empty question or answer", shown
    if candidate.answer_type not in ANSWER_TYPES:
        return "unknown answer type", f"{candidate.answer_type!r}: {shown}"
    if candidate.type not in ITEM_TYPES:
        return "unknown item type", f"{candidate.type!r}: {shown}"
    if candidate.capability not in job.capabilities:
        return "capability is not in the tree", f"{candidate.capability!r}: {shown}"
    if candidate.knowledge is not None and candidate.knowledge not in knowledge:
        return "topic is not in the tree", f"{candidate.knowledge!r}: {shown}"
    if candidate.difficulty is not None and not 0 <= candidate.difficulty <= 1:
        return "difficulty outside [0, 1]", f"{candidate.difficulty}: {shown}"
    if candidate.answer_type == "box":
        try:
            make_box_frame(job).read(parse_box(candidate.answer))
        except BoxError as error:
            return "box answer is no box in this picture", f"{error}: {shown}"
    return None


def make_box_frame(job: Job) -> Frame:
    """Where the job's boxes live: the record's first picture."""
    return Frame(job.boxes, job.record.width, job.record.height, job.max_pixels)
