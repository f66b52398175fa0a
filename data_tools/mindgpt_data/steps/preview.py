"""What generation would ask about a few pictures, before anything is spent."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mindgpt_data.io.work import Work
from mindgpt_data.schema.rows import SUB_SCORES
from mindgpt_data.teachers.base import Candidate, Job, ModelTeacher, build_teacher
from mindgpt_data.teachers.plan import plan_jobs, read_inputs
from mindgpt_data.teachers.slots import choose_candidates
from mindgpt_plugins.core.files import write_text

if TYPE_CHECKING:
    from mindgpt_data.schema.config import DataSettings

THUMBNAIL = 160_000
"""Pixels of a picture on the page."""


@dataclass
class Shown:
    """One picture of a preview.

    Attributes:
        job: what would be asked for.
        messages: the texts that would be sent, by role; empty for teachers that ask no model.
        candidates: what a local teacher wrote, or the model when it was asked.
        problems: what was refused, or the error.
    """

    job: Job
    messages: list[tuple[str, str]] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def preview_generation(
    work: Work, settings: DataSettings, number: int, *, seed: int = 0, ask: bool = False
) -> list[Shown]:
    """``number`` images spread evenly over the density range, densest first, with their real slots and prompts.

    Args:
        work: images, density, matches and budget must be there.
        settings: the whole pipeline.
        number: how many.
        seed: as for ``generate``: slots depend on it.
        ask: really ask the model about these; the answers are stored, and ``generate`` does not pay for them again.
    """
    teacher = build_teacher(settings.generate.teacher)
    model = isinstance(teacher, ModelTeacher)
    inputs = read_inputs(work, settings)
    wanted = pick_spread_images(
        [(job.record.image, job.ids) for job in plan_jobs(inputs, settings, seed, slots=False)], number
    )
    # Slots depend on all images before them, so all are planned.
    found = {
        job.record.image: job for job in plan_jobs(inputs, settings, seed, slots=model) if job.record.image in wanted
    }
    shown = [Shown(found[image]) for image in wanted]
    for one in shown:
        if isinstance(teacher, ModelTeacher):
            try:
                one.messages = _texts(teacher, one.job)
            except (ValueError, OSError) as error:
                one.problems.append(f"the request cannot be built: {error}")
        else:
            rng = random.Random(f"{seed}/choose/{one.job.record.image}")
            one.candidates = choose_candidates(teacher.propose(one.job), one.job, Counter(), {}, rng, inputs.focus)
    if ask and isinstance(teacher, ModelTeacher):
        _ask(teacher, shown, work, settings)
    return shown


def pick_spread_images(scored: Sequence[tuple[str, float]], number: int) -> list[str]:
    """Images at evenly spaced ranks of their score, highest first."""
    order = [image for image, _ in sorted(scored, key=lambda pair: (-pair[1], pair[0]))]
    if number >= len(order):
        return order
    if number == 1:
        return [order[len(order) // 2]]
    return [order[round(i * (len(order) - 1) / (number - 1))] for i in range(number)]


def write_preview_page(shown: Sequence[Shown], path: Path) -> None:
    """Write the preview as one HTML file with the pictures inside."""
    from mindgpt_plugins.web.page import render_page

    write_text(path, render_page("preview.html", shown=shown, sub_scores=SUB_SCORES, embed=_embed))


def _texts(teacher: ModelTeacher, job: Job) -> list[tuple[str, str]]:
    """What the request says, pictures as ``[picture]``."""
    texts = []
    for message in teacher.task(job, 0).build().messages:
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        said = [part["text"] if part["type"] == "text" else "[picture]" for part in parts]
        texts.append((str(message["role"]), "\n".join(said)))
    return texts


def _ask(teacher: ModelTeacher, shown: Sequence[Shown], work: Work, settings: DataSettings) -> None:
    from mindgpt_data.client.request import Failed
    from mindgpt_data.client.run import ask_all

    tasks = {(task := teacher.task(one.job, 0)).key: (task, one) for one in shown}
    asked = [task for task, _ in tasks.values()]
    for outcome in ask_all(asked, step="generate", store=work.store, endpoints=settings.endpoints_for("teacher")):
        one = tasks[outcome.key][1]
        if isinstance(outcome, Failed):
            one.problems.append(outcome.error)
        else:
            one.candidates = list(outcome.value.candidates)
            one.problems += [f"{reason}: {detail}" for reason, detail in outcome.value.refused]


def _embed(path: str) -> tuple[str, str]:
    """The picture's data address, or why there is none."""
    from mindgpt_data.client.images import make_data_url

    try:
        return make_data_url(Path(path), THUMBNAIL), ""
    except (ValueError, OSError) as error:
        return "", str(error)
