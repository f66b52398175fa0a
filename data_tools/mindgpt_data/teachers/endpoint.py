"""Teacher ``endpoint``: any OpenAI-compatible multimodal model writes the QA, one request per image and round."""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Literal, get_args

from pydantic import Field, TypeAdapter, ValidationError

from mindgpt_data.client.request import Answer, Request, Task
from mindgpt_data.schema.boxes import BoxError, format_box, parse_box
from mindgpt_data.teachers.base import Candidate, Job, Slot, Written
from mindgpt_data.teachers.messages import build_messages, fingerprint_request, make_closed_schema
from mindgpt_data.teachers.prompts import LEVELS, SYSTEM, render_prompt
from mindgpt_plugins.answers.number import parse_number
from mindgpt_plugins.core.schema import Strict

NONE = "none"
"""Topic of slots without one."""
AnswerType = Literal["text", "number", "choice", "yesno", "box"]
"""What a model is asked to write; rows may also hold units, JSON and mathematics, for sets of one's own."""


class _Pair(Strict):
    capability: str
    topic: str
    question: str
    rationale: str
    answer: str
    answer_type: AnswerType
    difficulty: int = Field(ge=min(LEVELS), le=max(LEVELS))


_PAIRS = TypeAdapter(dict[str, dict[str, Any] | None])


class Endpoint:
    """Asks for exactly the slots of a job, in structured output that cannot run away.

    Args:
        temperature: of the model.
        max_question: longest question, characters.
        max_answer: longest answer, characters; three times that for ``open`` slots.
        max_rationale: longest rationale, characters.
        rounds: how often an image is asked about while slots are missing; later rounds know what was asked before.
        instructions: added to the system prompt, e.g. the language to write in.
    """

    def __init__(
        self,
        *,
        temperature: float = 0.7,
        max_question: int = 300,
        max_answer: int = 200,
        max_rationale: int = 500,
        rounds: int = 2,
        instructions: str = "",
    ) -> None:
        if rounds < 1:
            raise ValueError(f"generate.teacher.options.rounds is {rounds}; at least 1")
        self.temperature, self.rounds = temperature, rounds
        self.max_question, self.max_answer, self.max_rationale = max_question, max_answer, max_rationale
        self.system = f"{SYSTEM} {instructions}".strip()

    def task(self, job: Job, part: int) -> Task[Written]:
        """The request for one image; ``part`` counts the rounds from 0."""
        asked, schema = render_prompt(job), self.schema(job)
        return Task(
            key=f"{job.record.image}/{part}",
            fingerprint=fingerprint_request(
                job.record, self.system, asked, schema, self.temperature, job.max_pixels, job.seed, part
            ),
            build=partial(self._build, job, asked, schema, part),
            parse=partial(self._parse, job),
        )

    def schema(self, job: Job) -> dict[str, Any]:
        """JSON schema of the answer: a property per slot, null where the picture does not serve it.

        Every string is bounded, and capability and topic can only be the slot's: the model restates them before it
        writes, and a server with a grammar cannot mix slots up.
        """
        slots = {f"slot_{slot.number + 1}": {"anyOf": [self._pair(slot), {"type": "null"}]} for slot in job.slots}
        return make_closed_schema(**slots)

    def _pair(self, slot: Slot) -> dict[str, Any]:
        return make_closed_schema(
            capability={"type": "string", "enum": [slot.capability]},
            topic={"type": "string", "enum": [slot.knowledge or NONE]},
            question={"type": "string", "minLength": 1, "maxLength": self.max_question},
            rationale={"type": "string", "maxLength": self.max_rationale},
            answer_type={"type": "string", "enum": list(get_args(AnswerType))},
            answer={"type": "string", "minLength": 1, "maxLength": self._longest(slot)},
            difficulty={"type": "integer", "minimum": min(LEVELS), "maximum": max(LEVELS)},
        )

    def _longest(self, slot: Slot) -> int:
        return self.max_answer * (3 if slot.type == "open" else 1)

    def _build(self, job: Job, asked: str, schema: dict[str, Any], part: int) -> Request:
        longest = self.max_question + 3 * self.max_answer + self.max_rationale + 300
        return Request(
            build_messages(job.record, self.system, asked, job.max_pixels),
            schema=schema,
            max_tokens=64 + len(job.slots) * longest // 3,
            temperature=self.temperature,
            seed=job.seed + part,
        )

    def _parse(self, job: Job, answer: Answer) -> Written:
        try:
            found = _PAIRS.validate_json(_inner(answer.texts[0]))
        except ValidationError as error:
            raise ValueError(f"not a pair per slot: {error.errors()[0]['msg']}") from None
        slots = {f"slot_{slot.number + 1}": slot for slot in job.slots}
        asked = {question.casefold() for question in job.avoid}
        candidates, refused = dict[int, Candidate](), list[tuple[str, str]]()
        for key, item in found.items():
            if item is None:
                continue
            try:
                if key not in slots:
                    raise _Refused("a slot that was not asked for", f"{key}: {item!r:.200}")
                candidate = self._candidate(_Pair.model_validate(item), slots[key])
                if candidate.question.casefold() in asked:
                    raise _Refused("asked before about this image", candidate.question)
                candidates[slots[key].number] = candidate
                asked.add(candidate.question.casefold())
            except ValidationError as error:
                first = error.errors()[0]
                place = ".".join(map(str, first["loc"]))
                refused.append(("pair does not follow the schema", f"{place}: {first['msg']}: {item!r:.200}"))
            except _Refused as error:
                refused.append((error.reason, error.detail))
        return Written(tuple(candidates[number] for number in sorted(candidates)), tuple(refused))

    def _candidate(self, pair: _Pair, slot: Slot) -> Candidate:
        if pair.capability != slot.capability:
            raise _Refused("another capability than its slot's", f"{pair.capability} for {slot.capability}")
        if pair.topic != (slot.knowledge or NONE):
            raise _Refused("another topic than its slot's", f"{pair.topic} for {slot.knowledge or NONE}")
        question, answer = " ".join(pair.question.split()), _plain(pair)
        for name, value, most in (("question", question, self.max_question), ("answer", answer, self._longest(slot))):
            if not value:
                raise _Refused(f"empty {name}", f"{pair.question!r} → {pair.answer!r}")
            if len(value) > most:
                raise _Refused(f"{name} over {most} characters", value[:200])
        return Candidate(
            question=question,
            answer=answer,
            capability=slot.capability,
            answer_type=pair.answer_type,
            rationale=" ".join(pair.rationale.split())[: self.max_rationale],
            knowledge=slot.knowledge,
            difficulty=(pair.difficulty - 1) / 4,
            type=slot.type,
            slot=slot.number,
        )


class _Refused(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


def _plain(pair: _Pair) -> str:
    """The answer as rewards compare it."""
    answer = " ".join(pair.answer.split())
    if pair.answer_type == "yesno":
        answer = answer.casefold().rstrip(".!")
        if answer not in ("yes", "no"):
            raise _Refused("answer type yesno, but the answer is neither", f"{pair.question!r} → {answer!r}")
    elif pair.answer_type == "number":
        answer = re.sub(r"(?<=\d),(?=\d{3}\b)", "", answer).rstrip(".")
        number = parse_number(answer)
        if number is None or number.noun or number.unit:
            raise _Refused("answer type number, but the answer is no number", f"{pair.question!r} → {answer!r}")
    elif pair.answer_type == "box":
        try:
            answer = format_box(parse_box(answer))
        except BoxError as error:
            raise _Refused("answer type box, but the answer is no box", f"{pair.question!r}: {error}") from None
    return answer


def _inner(answer: str) -> str:
    """The outermost object: servers without a grammar put fences or words around it."""
    return answer[answer.find("{") : answer.rfind("}") + 1] or answer
