"""Gate ``judge``: a multimodal model grades each QA on four scales (ours; scales and thresholds of the method)."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from mindgpt_data.client.request import Done, Request, Task
from mindgpt_data.gates.asking import build_user_content, fingerprint_question, make_failed_verdict, zip_outcomes
from mindgpt_data.gates.batch import Batch, GateVerdict, mark_batch_gate
from mindgpt_data.gates.item import Item
from mindgpt_plugins.core.schema import Strict

SCALES = ("correctness", "grounding", "clarity", "answerability")
PROMPT = """You check training data for a vision-language model. Look at the picture and grade this question and answer.

Question: {question}
Answer: {answer}
Reply shown to the model: {response}

Grade each from 0 (unusable) to 5 (flawless):
correctness: the answer is right, and so is every statement of the reply.
grounding: the reply rests on what can be seen, and invents nothing.
clarity: the question has one meaning and one answer.
answerability: the picture (and common knowledge) suffices to answer.
Name the worst problem in a few words, or leave it empty."""


class Grades(Strict):
    """What the judge fills in."""

    correctness: int = Field(ge=0, le=5)
    grounding: int = Field(ge=0, le=5)
    clarity: int = Field(ge=0, le=5)
    answerability: int = Field(ge=0, le=5)
    problem: str = Field("", max_length=200)


@mark_batch_gate
def judge(
    batch: Batch, *, least: int = 3, mean: float = 4.0, role: str = "judge", max_tokens: int = 256
) -> Iterator[GateVerdict]:
    """Keep an item when its lowest grade is at least ``least`` and the average at least ``mean``.

    Args:
        batch: the rows; adversarial ones and those with a video are kept ungraded (noted in the summary).
        least: lowest grade of the four, 0 to 5.
        mean: lowest average of the four.
        role: whose endpoints judge.
        max_tokens: longest answer.
    """
    # What an adversarial row asks cannot be answered from its picture: that is the point of it.
    shown = [item for item in batch.items if not item.row.video and item.row.type != "adversarial"]
    if left := len(batch.items) - len(shown):
        batch.notes.append(f"judge: {left} rows with a video, or adversarial, were not graded")
    from mindgpt_data.client.structured import make_answer_parser, make_answer_schema

    schema, parse = make_answer_schema(Grades), make_answer_parser(Grades)

    def task(item: Item) -> Task[Grades]:
        row = item.row
        text = PROMPT.format(question=row.question, answer=row.answer, response=row.response or "(none)")

        def build() -> Request:
            message = {"role": "user", "content": build_user_content(batch, item, text)}
            return Request(messages=[message], schema=schema, max_tokens=max_tokens)

        return Task(row.uid, fingerprint_question(batch, item, text, schema, max_tokens), build, parse)

    totals = dict.fromkeys(SCALES, 0)
    graded = 0
    for item, outcome in zip_outcomes(batch, shown, task, role):
        if not isinstance(outcome, Done):
            yield make_failed_verdict(item, outcome)
            continue
        grades = {scale: int(getattr(outcome.value, scale)) for scale in SCALES}
        graded += 1
        for scale, grade in grades.items():
            totals[scale] += grade
        yield GateVerdict(item.row.uid, _reason(grades, least, mean), _detail(item, grades, outcome.value.problem))
    batch.facts["mean grades"] = {scale: round(total / graded, 3) for scale, total in totals.items() if graded}


def _reason(grades: dict[str, int], least: int, mean: float) -> str | None:
    worst = min(grades, key=lambda scale: grades[scale])
    if grades[worst] < least:
        return f"{worst} below {least}"
    return f"mean grade below {mean:g}" if sum(grades.values()) / len(grades) < mean else None


def _detail(item: Item, grades: dict[str, int], problem: str) -> str:
    shown = ", ".join(f"{scale} {grade}" for scale, grade in grades.items())
    return f"{item.row.question} → {item.row.answer} ({shown}{f': {problem}' if problem else ''})"
