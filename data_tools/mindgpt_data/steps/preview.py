"""What generation would ask about a few pictures, before anything is spent."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from mindgpt_data.io.work import Work
from mindgpt_data.schema.rows import SUB_SCORES
from mindgpt_data.teachers.base import Candidate, Job, ModelTeacher, build
from mindgpt_data.teachers.plan import jobs, read_inputs
from mindgpt_data.teachers.slots import choose
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


def preview(work: Work, settings: DataSettings, number: int, *, seed: int = 0, ask: bool = False) -> list[Shown]:
    """``number`` images spread evenly over the density range, densest first, with their real slots and prompts.

    Args:
        work: images, density, matches and budget must be there.
        settings: the whole pipeline.
        number: how many.
        seed: as for ``generate``: slots depend on it.
        ask: really ask the model about these; the answers are stored, and ``generate`` does not pay for them again.
    """
    teacher = build(settings.generate.teacher)
    model = isinstance(teacher, ModelTeacher)
    inputs = read_inputs(work, settings)
    wanted = spread([(job.record.image, job.ids) for job in jobs(inputs, settings, seed, slots=False)], number)
    # Slots depend on all images before them, so all are planned.
    found = {job.record.image: job for job in jobs(inputs, settings, seed, slots=model) if job.record.image in wanted}
    shown = [Shown(found[image]) for image in wanted]
    for one in shown:
        if isinstance(teacher, ModelTeacher):
            try:
                one.messages = _texts(teacher, one.job)
            except (ValueError, OSError) as error:
                one.problems.append(f"the request cannot be built: {error}")
        else:
            rng = random.Random(f"{seed}/choose/{one.job.record.image}")
            one.candidates = choose(teacher.propose(one.job), one.job, Counter(), {}, rng, inputs.focus)
    if ask and isinstance(teacher, ModelTeacher):
        _ask(teacher, shown, work, settings)
    return shown


def spread(scored: Sequence[tuple[str, float]], number: int) -> list[str]:
    """Images at evenly spaced ranks of their score, highest first."""
    order = [image for image, _ in sorted(scored, key=lambda pair: (-pair[1], pair[0]))]
    if number >= len(order):
        return order
    if number == 1:
        return [order[len(order) // 2]]
    return [order[round(i * (len(order) - 1) / (number - 1))] for i in range(number)]


def page(shown: Sequence[Shown], path: Path) -> None:
    """Write the preview as one HTML file with the pictures inside."""
    write_text(path, _PAGE.substitute(articles="\n".join(map(_article, shown))))


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


def _article(one: Shown) -> str:
    job = one.job
    pictures = "".join(map(_picture, job.record.paths))
    scores = " · ".join(f"{name} {job.sub_scores[name]:.1f}" for name in SUB_SCORES)
    topics = "".join(f"<li>{escape(topic.path)}: {escape(job.evidence[topic.leaf])}</li>" for topic in job.topics)
    slots = "".join(
        f"<tr><td>{slot.number + 1}<td>{escape(slot.capability)}<td>{escape(slot.knowledge or '')}"
        f"<td>{slot.type}<td>{slot.level}</tr>"
        for slot in job.slots
    )
    table = f"<table><tr><th><th>capability<th>topic<th>type<th>difficulty</tr>{slots}</table>" if slots else ""
    answers = "".join(
        f"<li><b>{escape(c.question)}</b> {escape(c.answer)} <small>{escape(c.capability)}</small></li>"
        for c in one.candidates
    )
    problems = "".join(f"<li class=bad>{escape(problem)}</li>" for problem in one.problems)
    said = "".join(f"<h4>{escape(role)}</h4><pre>{escape(text)}</pre>" for role, text in one.messages)
    prompt = f"<details><summary>the exact prompt</summary>{said}</details>" if said else ""
    return (
        f"<article><div>{pictures}</div><div><h2>{escape(job.record.image)}</h2><p>ids {job.ids:.2f} · {scores} · "
        f"{job.items} QA</p><ul>{topics or '<li>no topic</li>'}</ul>{table}<ol>{answers}</ol><ul>{problems}</ul>"
        f"{prompt}</div></article>"
    )


def _picture(path: str) -> str:
    from mindgpt_data.client.images import data_url

    try:
        return f'<img src="{data_url(Path(path), THUMBNAIL)}" alt="">'
    except (ValueError, OSError) as error:
        return f"<p class=bad>{escape(str(error))}</p>"


_PAGE = Template(
    """<!doctype html><html lang="en"><meta charset="utf-8"><title>Preview</title><style>
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#222;background:#fff}
article{display:grid;grid-template-columns:minmax(12rem,20rem) 1fr;gap:1.5rem;border-top:1px solid #ccc;padding:1rem 0}
img{max-width:100%;display:block;margin-bottom:.5rem}h2{font-size:1.05rem;margin:0}
td,th{padding:0 .8rem 0 0;text-align:left}
pre{white-space:pre-wrap;background:#f4f4f4;padding:.7rem}.bad{color:#a00}small{color:#666}
@media(max-width:40rem){article{grid-template-columns:1fr}}
@media(prefers-color-scheme:dark){body{background:#16181c;color:#ddd}pre{background:#23262c}.bad{color:#f88}small{color:#aaa}}
</style><h1>What would be asked</h1>$articles</html>
"""
)
