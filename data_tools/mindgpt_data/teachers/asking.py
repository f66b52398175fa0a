"""Runs a model teacher over all jobs: rounds of requests, outcomes in input order, memory that does not grow."""

from __future__ import annotations

import random
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from mindgpt_data.client.request import Done, Failed, Task
from mindgpt_data.teachers.base import Candidate, Job, ModelTeacher, Slot, Written
from mindgpt_plugins.core import files

ASKED_ELSEWHERE = 3
"""Questions per topic that a later round is told were asked about other images."""
Ask = Callable[[Iterator[Task[Written]], str], "Iterator[Done[Written] | Failed]"]
"""Does tasks; the text says which round it is."""


def ask_rounds(
    teacher: ModelTeacher, jobs: Callable[[], Iterator[Job]], ask: Ask, folder: Path
) -> Iterator[tuple[Job, list[Candidate], list[tuple[str, str]], str]]:
    """``(job, candidates by slot, refused, error)`` per job, in order; the last round's error where one failed.

    Each round is written to ``folder`` in input order. From the second on, an image is asked only for the slots it
    still lacks and told which questions it has, and which were asked about the same topics elsewhere. That list is
    taken from finished rounds alone: within a round it would depend on the order in which answers arrive, and a resumed
    run would ask other things than the killed one.

    Args:
        teacher: makes the requests.
        jobs: gives the same jobs every time it is called.
        ask: does them.
        folder: gets ``generate-<round>.jsonl``.
    """
    lines: list[Path] = []
    for part in range(teacher.rounds):
        path = folder / f"generate-{part}.jsonl"
        elsewhere = _elsewhere(_merged(jobs(), lines)) if part else {}
        made = (_with_gaps(merged, elsewhere, part) for merged in _merged(jobs(), lines))
        wanted = (job for job in made if job is not None)
        written = files.write_jsonl(path, _one_round(teacher, wanted, ask, part))
        if not written:
            path.unlink()
            break
        lines.append(path)
    yield from _merged(jobs(), lines)
    for path in lines:
        path.unlink()


def _one_round(teacher: ModelTeacher, jobs: Iterator[Job], ask: Ask, part: int) -> Iterator[dict[str, Any]]:
    order: deque[tuple[str, str]] = deque()

    def tasks() -> Iterator[Task[Written]]:
        for job in jobs:
            task = teacher.task(job, part)
            order.append((task.key, job.record.image))
            yield task

    waiting: dict[str, Done[Written] | Failed] = {}
    for outcome in ask(tasks(), f"round {part + 1}"):
        waiting[outcome.key] = outcome
        while order and order[0][0] in waiting:
            key, image = order.popleft()
            yield _line(image, waiting.pop(key))


def _line(image: str, outcome: Done[Written] | Failed) -> dict[str, Any]:
    if isinstance(outcome, Failed):
        return {"image": image, "candidates": [], "refused": [], "error": outcome.error}
    written = outcome.value
    return {
        "image": image,
        "candidates": [vars(candidate) for candidate in written.candidates],
        "refused": [list(pair) for pair in written.refused],
        "error": "",
    }


def _merged(
    jobs: Iterable[Job], lines: list[Path]
) -> Iterator[tuple[Job, list[Candidate], list[tuple[str, str]], str]]:
    """Every job with what all finished rounds brought for it."""
    streams = [(data for _, data in files.read_jsonl(path)) for path in lines]
    heads = [next(stream, None) for stream in streams]
    for job in jobs:
        candidates, refused, error = list[Candidate](), list[tuple[str, str]](), ""
        for i, stream in enumerate(streams):
            head = heads[i]
            if head is not None and head["image"] == job.record.image:
                candidates += [Candidate(**one) for one in head["candidates"]]
                refused += [(reason, detail) for reason, detail in head["refused"]]
                error = head["error"]
                heads[i] = next(stream, None)
        yield job, sorted(candidates, key=lambda c: c.slot), refused, error


def _with_gaps(
    merged: tuple[Job, list[Candidate], list[tuple[str, str]], str],
    elsewhere: dict[str, list[tuple[str, str]]],
    part: int,
) -> Job | None:
    """The job for the slots that are still empty; None when there are none, or the server gave up on the image.

    Such a slot asks for another capability of its family: the picture may not serve the first.
    """
    job, candidates, _, error = merged
    filled = {candidate.slot for candidate in candidates}
    missing = tuple(slot for slot in job.slots if slot.number not in filled)
    if not missing or error:
        return None
    if part:
        missing = tuple(_another(slot, job, part) for slot in missing)
    topics = dict.fromkeys(slot.knowledge for slot in missing if slot.knowledge is not None)
    others = [q for topic in topics for image, q in elsewhere.get(topic, []) if image != job.record.image]
    return replace(job, slots=missing, avoid=tuple(c.question for c in candidates), avoid_topic=tuple(others))


def _another(slot: Slot, job: Job, part: int) -> Slot:
    family, taken = job.capabilities[slot.capability].family, {one.capability for one in job.slots}
    others = sorted(leaf for leaf, label in job.capabilities.items() if label.family == family and leaf not in taken)
    rng = random.Random(f"{job.seed}/{job.record.image}/{part}/{slot.number}")
    return replace(slot, capability=rng.choice(others)) if others else slot


def _elsewhere(
    merged: Iterable[tuple[Job, list[Candidate], list[tuple[str, str]], str]],
) -> dict[str, list[tuple[str, str]]]:
    """Topic → the first few ``(image, question)`` about it."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for job, candidates, _, _ in merged:
        for candidate in candidates:
            if candidate.knowledge is not None and len(found[candidate.knowledge]) < ASKED_ELSEWHERE:
                found[candidate.knowledge].append((job.record.image, candidate.question))
    return found
