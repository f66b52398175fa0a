"""Every word that teacher ``endpoint`` says to a model; change the prompts here."""

from __future__ import annotations

from collections.abc import Iterable

from mindgpt_data.teachers.base import Job, Label, Slot
from mindgpt_data.teachers.check import make_box_frame

SYSTEM = """\
You write question-answer pairs that teach a vision-language model to look. Every pair is about what the picture \
shows: it cannot be answered without the picture, and its answer is certain to anyone who sees it. You never invent \
detail, never mention captions, annotations or files, and never ask about what is not there."""

LEVELS = {
    1: "seen at a glance",
    2: "found by looking for it",
    3: "needs two observations put together",
    4: "needs several steps or close reading",
    5: "needs an expert's eye and reasoning",
}
TYPES = {
    "verifiable": "verifiable: one short answer that can be checked against the picture",
    "open": "open: an answer of one to three sentences",
}
RULES = """\
Rules:
- Write exactly one pair per slot, under the slot's name, and restate its capability and topic.
- question: one sentence, self-contained; it names what it is about without giving the answer away.
- rationale: one or two sentences: what is seen, and how the answer follows. It is written before the answer.
- answer: as short as it can be; for answer_type yesno `yes` or `no`, for number digits only, for choice one of the \
options the question lists, for box {box}.
- difficulty: 1 to 5, as it turned out.
- If a slot cannot be served by what is visible, answer null for it rather than guess."""


def render_prompt(job: Job) -> str:
    """The whole user text of a job's request."""
    pictures = "the picture" if len(job.record.paths) == 1 else f"these {len(job.record.paths)} pictures (in order)"
    parts = [f"Write {len(job.slots)} question-answer pairs about {pictures}, one per slot:", _slots(job)]
    if job.topics:
        parts.append(
            f"What the picture is about:\n{_listed(f'{t.path or t.name}. {t.definition}' for t in job.topics)}"
        )
    parts.append(RULES.format(box=make_box_frame(job).words))
    if job.avoid:
        parts.append(f"Already asked about this picture; ask something else:\n{_listed(job.avoid)}")
    if job.avoid_topic:
        parts.append(f"Already asked about these topics elsewhere; ask something else:\n{_listed(job.avoid_topic)}")
    return "\n\n".join(parts)


def _slots(job: Job) -> str:
    topics = {topic.leaf: topic for topic in job.topics}
    return "\n".join(_slot(slot, job.capabilities[slot.capability], topics) for slot in job.slots)


def _slot(slot: Slot, capability: Label, topics: dict[str, Label]) -> str:
    about = f"; topic {slot.knowledge} ({topics[slot.knowledge].name})" if slot.knowledge in topics else "; topic none"
    return (
        f"slot_{slot.number + 1}: capability {slot.capability} ({capability.name}: {capability.definition}){about}; "
        f"{TYPES[slot.type]}; difficulty {slot.level}, {LEVELS[slot.level]}"
    )


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
