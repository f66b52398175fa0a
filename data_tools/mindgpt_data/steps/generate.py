"""Step ``generate``: a teacher writes the QA that the budget allows."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindgpt_data import engines
from mindgpt_data.io.progress import Progress, ignore_update
from mindgpt_data.io.work import Drop, Work
from mindgpt_data.schema.rows import Row
from mindgpt_data.teachers.base import Candidate, Job, LocalTeacher, ModelTeacher, build_teacher
from mindgpt_data.teachers.check import find_candidate_problem
from mindgpt_data.teachers.plan import Inputs, plan_jobs, read_inputs
from mindgpt_data.teachers.rows import build_row
from mindgpt_data.teachers.slots import choose_candidates
from mindgpt_plugins.core import files

if TYPE_CHECKING:
    from mindgpt_data.client.batch import Imported
    from mindgpt_data.client.request import Done, Failed, Request, Task
    from mindgpt_data.client.spend import Estimate
    from mindgpt_data.focus.weights import Focus
    from mindgpt_data.schema.config import DataSettings
    from mindgpt_data.teachers.base import Written

STEP = "generate"
SAMPLE = 20
"""Requests that an estimate looks at."""


class NothingWritten(ValueError):
    """A teacher that wrote nothing: going on would only fail later."""


@dataclass
class _Run:
    work: Work
    settings: DataSettings
    seed: int
    progress: Progress
    inputs: Inputs
    drops: list[Drop] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def drop(self, reason: str, job: Job, detail: str = "") -> None:
        self.drops.append(Drop(STEP, "teacher", reason, job.record.image, detail))

    @cached_property
    def asked_images(self) -> int:
        return sum(1 for record in self.inputs.records if self.inputs.budget[record.image]["items"])

    def jobs(self, *, slots: bool) -> Iterator[Job]:
        return plan_jobs(self.inputs, self.settings, self.seed, slots=slots)

    def row(self, candidate: Candidate, job: Job, number: int) -> Row:
        self.counts.update({f"type {candidate.type}": 1, f"capability {candidate.capability}": 1})
        return build_row(candidate, job, number, job.record.source, self.settings.generate.verbose)


def run(work: Work, settings: DataSettings, *, seed: int = 0, progress: Progress = ignore_update) -> dict[str, Any]:
    """Read images, density, matches and budget; write ``candidates.jsonl`` in input order.

    Which capability, topic, type and difficulty each QA has is decided before the first request, so a killed run plans
    the same again and finds its answers in the store. Every budgeted QA that was not written has a line in
    ``drops/generate.jsonl``.

    Raises:
        FileError: an earlier step has not run.
        RegistryError: no such teacher, or an option it does not have.
        SlotError: the capability tree cannot serve the budget.
        EndpointError: the model server cannot be used at all.
        NothingWritten: no item at all; the message says what was in the way.
    """
    started = time.monotonic()
    teacher = build_teacher(settings.generate.teacher)
    state = _Run(work, settings, seed, progress, read_inputs(work, settings))
    state.drops += state.inputs.left_out
    expected = _expected(state, teacher) if isinstance(teacher, ModelTeacher) else None
    rows = _ask(state, teacher) if isinstance(teacher, ModelTeacher) else _propose(state, teacher)
    written = files.write_jsonl(work.candidates, (row.to_json() for row in rows))
    work.write_drops(STEP, state.drops)
    if not written:
        raise NothingWritten(_why(state))
    summary: dict[str, Any] = {
        "items": written,
        "asked": sum(row["items"] for row in state.inputs.budget.values()),
        "images": len(state.inputs.records),
        "types": _counted(state.counts, "type"),
        "capabilities": _counted(state.counts, "capability"),
        "dropped": dict(Counter(drop.reason for drop in state.drops)),
        "seconds": round(time.monotonic() - started, 3),
        "settings": settings.generate.model_dump(mode="json"),
        "seed": seed,
    }
    if state.inputs.focus is not None:
        summary["focus"] = _heavy(state.inputs, state.inputs.focus)
    if isinstance(teacher, ModelTeacher):
        from mindgpt_data.client.spend import read_usage

        summary["estimate"] = vars(expected)
        summary["usage"] = [line for line in read_usage(work.store) if line["step"] == STEP]
    work.write_summary(STEP, summary)
    return summary


def _heavy(inputs: Inputs, focus: Focus) -> dict[str, Any]:
    """The leaves of this corpus that weigh more than 1, for the report."""
    matched = sorted({topic["leaf"] for topics in inputs.matches.values() for topic in topics})
    leaves = {"knowledge": matched, "capability": list(inputs.capabilities)}
    return {
        "file": focus.settings.file,
        "target": focus.settings.target,
        "weights": {
            axis: {leaf: round(w, 4) for leaf in own if (w := focus.of(axis)[leaf]) > 1} for axis, own in leaves.items()
        },
    }


def _why(state: _Run) -> str:
    told = (
        f"teacher {state.settings.generate.teacher.name!r} wrote no question about any of {state.asked_images} images"
    )
    if state.drops:
        (reason, count), *_ = Counter(drop.reason for drop in state.drops).most_common(1)
        told += f"; most often ({count}): {reason}"
    if not any(r.objects or r.texts or r.captions for r in state.inputs.records):
        told += (
            ". The corpus brings no objects, texts or captions: give a manifest that has them, or a model "
            "(generate.teacher=endpoint and endpoints.teacher)"
        )
    return told


def estimate_first_requests(work: Work, settings: DataSettings, *, seed: int = 0) -> Estimate | None:
    """What the first round takes, from its first requests, which are built and not sent; None for local teachers."""
    teacher = build_teacher(settings.generate.teacher)
    if not isinstance(teacher, ModelTeacher):
        return None
    return _expected(_Run(work, settings, seed, ignore_update, read_inputs(work, settings)), teacher)


def export_batch(work: Work, settings: DataSettings, folder: Path, *, seed: int = 0) -> list[Path]:
    """Write the first round's requests that have no answer yet as OpenAI Batch JSONL, instead of sending them.

    Raises:
        ValueError: the teacher asks no model.
    """
    from mindgpt_data.client import batch

    teacher = _model_teacher(settings)
    inputs = read_inputs(work, settings)
    tasks = _buildable(teacher.task(job, 0) for job in plan_jobs(inputs, settings, seed, slots=True))
    endpoint = settings.endpoints_for("teacher")[0]
    return batch.write_batch_requests(tasks, folder, step=STEP, store=work.store, endpoint=endpoint)


def import_batch(work: Work, settings: DataSettings, answers: Sequence[Path], folder: Path) -> Imported:
    """Read a batch's answers into the store; :func:`run` then asks only for what is missing.

    Args:
        work: the work folder.
        settings: the same as when the batch was written.
        answers: files that the batch brought back.
        folder: where :func:`export_batch` wrote.

    Raises:
        ValueError: the teacher asks no model.
        BatchError: see :func:`mindgpt_data.client.batch.read_batch_answers`.
    """
    from mindgpt_data.client import batch

    _model_teacher(settings)
    endpoint = settings.endpoints_for("teacher")[0]
    return batch.read_batch_answers(answers, folder, step=STEP, store=work.store, endpoint=endpoint)


def _expected(state: _Run, teacher: ModelTeacher) -> Estimate:
    from mindgpt_data.client.spend import estimate_spend as of_tasks

    tasks = _buildable(teacher.task(job, 0) for job in state.jobs(slots=True))
    return of_tasks(tasks, state.asked_images, state.settings.endpoints_for("teacher"), sample=SAMPLE)


def _buildable(tasks: Iterable[Task[Written]]) -> Iterator[Task[Written]]:
    """Tasks whose request can be built; the others (a picture that is gone, say) get their drop when they are asked."""
    for task in tasks:
        try:
            request = task.build()
        except (ValueError, OSError):
            continue
        yield replace(task, build=partial(_same, request))


def _same(request: Request) -> Request:
    return request


def _model_teacher(settings: DataSettings) -> ModelTeacher:
    teacher = build_teacher(settings.generate.teacher)
    if not isinstance(teacher, ModelTeacher):
        raise ValueError(
            f"teacher {settings.generate.teacher.name!r} asks no model server; batches are for those that do"
        )
    return teacher


def _propose(state: _Run, teacher: LocalTeacher) -> Iterator[Row]:
    """Local teachers run in this process, one image at a time; with ``--engine ray`` on the cluster."""
    used: Counter[str] = Counter()
    answers: dict[str, Counter[str]] = {}
    leaves = state.inputs.knowledge.row_of
    given, kept = tee(state.jobs(slots=False))
    for number, (job, outcome) in enumerate(zip(kept, _outcomes(teacher.propose, given), strict=True), 1):
        if outcome.value is None:
            state.drop("the teacher failed", job, outcome.error)
            continue
        sound = []
        for candidate in outcome.value:
            refused = find_candidate_problem(candidate, job, leaves)
            if refused is None:
                sound.append(candidate)
            else:
                state.drop(refused[0], job, refused[1])
        rng = random.Random(f"{state.seed}/choose/{job.record.image}")
        chosen = choose_candidates(sound, job, used, answers, rng, state.inputs.focus)
        yield from (state.row(candidate, job, i) for i, candidate in enumerate(chosen))
        for _ in range(job.items - len(chosen)):
            state.drop("no further question about this picture", job)
        state.progress({"stage": STEP, "step": number, "total": state.asked_images, "failed": len(state.drops)})


def _outcomes(
    propose: Callable[[Job], list[Candidate]], given: Iterator[Job]
) -> Iterator[engines.Outcome[list[Candidate]]]:
    if engines.get_engine_name() == "local":
        return (engines.capture_outcome(propose, job) for job in given)
    return engines.map_items(propose, given)


def _ask(state: _Run, teacher: ModelTeacher) -> Iterator[Row]:
    from mindgpt_data.client.run import ask_all
    from mindgpt_data.teachers.asking import ask_rounds

    leaves = state.inputs.knowledge.row_of

    def ask(tasks: Iterator[Task[Written]], stage: str) -> Iterator[Done[Written] | Failed]:
        def shown(update: dict[str, Any]) -> None:
            state.progress({**update, "stage": f"{STEP}, {stage}"})

        return ask_all(
            tasks,
            step=STEP,
            store=state.work.store,
            endpoints=state.settings.endpoints_for("teacher"),
            progress=shown,
            total=state.asked_images if stage == "round 1" else None,
        )

    folder = state.work.folder / "partial"
    for job, candidates, refused, error in ask_rounds(teacher, lambda: state.jobs(slots=True), ask, folder):
        for reason, detail in refused:
            state.drop(reason, job, detail)
        filled = set()
        for candidate in candidates:
            unsound = find_candidate_problem(candidate, job, leaves)
            if unsound is None:
                filled.add(candidate.slot)
                yield state.row(candidate, job, candidate.slot)
            else:
                state.drop(unsound[0], job, unsound[1])
        if error:
            state.drop("the teacher gave no usable answer", job, error)
        for slot in job.slots:
            if slot.number not in filled:
                state.drop("slot left empty", job, f"{slot.capability}, {slot.knowledge or 'no topic'}, {slot.type}")


def _counted(counts: Counter[str], kind: str) -> dict[str, int]:
    return {
        name.removeprefix(f"{kind} "): number for name, number in counts.most_common() if name.startswith(f"{kind} ")
    }
