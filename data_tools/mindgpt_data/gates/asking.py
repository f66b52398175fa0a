"""What the gates that ask a model have in common: messages with pictures, fingerprints, verdicts for failures."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from mindgpt_data.client.request import Answer, Done, Failed, Request, Task
from mindgpt_data.gates.batch import Batch, GateVerdict
from mindgpt_data.gates.item import Item
from mindgpt_plugins.answers import JudgeOptions, judge_answer
from mindgpt_plugins.core.files import dump_json_line

T = TypeVar("T")

_FORM = {
    "number": "a number in digits",
    "yesno": "yes or no",
    "choice": "the option, by its letter where the question lists letters",
    "box": "the box as [x0, y0, x1, y1]",
    "text": "a word or a short phrase",
    "unit": "a number with its unit",
    "json": "one JSON value on one line",
    "math": "one mathematical expression",
}


def select_showable_items(batch: Batch, items: Sequence[Item], gate: str) -> list[Item]:
    """The items a model can be asked about: verifiable, and nothing to see but pictures. The rest is noted."""
    found = [item for item in items if item.row.type == "verifiable" and not item.row.video]
    if left := len(items) - len(found):
        batch.notes.append(f"{gate}: {left} rows with a video, or whose answer is not verifiable, were not measured")
    return found


def build_user_content(batch: Batch, item: Item, text: str, *, pictures: bool = True) -> list[dict[str, Any]]:
    """A user message's content: the row's pictures, scaled to ``generate.max_pixels``, then ``text``."""
    parts: list[dict[str, Any]] = []
    if pictures:
        from mindgpt_data.client.images import make_data_url

        limit = batch.settings.generate.max_pixels
        parts = [
            {"type": "image_url", "image_url": {"url": make_data_url(path, limit)}} for path in batch.paths(item.row)
        ]
    return [*parts, {"type": "text", "text": text}]


def fingerprint_question(batch: Batch, item: Item, *parts: Any) -> str:
    """Hash of everything that decides a request: the pictures' content, their size when sent, and ``parts``."""
    pictures = [
        batch.records[image].content if image in batch.records else _bytes_hash(batch, image)
        for image in item.row.image
    ]
    text = dump_json_line([pictures, batch.settings.generate.max_pixels, *parts])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Sampling:
    """How a solver answers.

    Attributes:
        role: whose endpoints.
        samples: answers per item.
        temperature: of the sampling.
        max_tokens: longest answer.
    """

    role: str
    samples: int
    temperature: float
    max_tokens: int


def solve_items(
    batch: Batch, items: Sequence[Item], how: Sampling, tag: str, *, pictures: bool = True
) -> Iterator[tuple[Item, Done[list[bool]] | Failed]]:
    """Let a model answer each item several times; yields which answers were right, as they come.

    Args:
        batch: where to ask.
        items: what to ask.
        how: whom, how often.
        tag: part of the key, so that one gate can ask about an item more than once.
        pictures: False asks blind.
    """

    def task(item: Item) -> Task[list[bool]]:
        row = item.row
        text = f"{row.question}\n\nEnd your reply with a line `answer: X`, where X is {_FORM[row.answer_type]}."
        if not pictures:
            text = f"The picture is missing. Give the answer you think most likely.\n\n{text}"

        def build() -> Request:
            return Request(
                messages=[{"role": "user", "content": build_user_content(batch, item, text, pictures=pictures)}],
                max_tokens=how.max_tokens,
                temperature=how.temperature,
                n=how.samples,
            )

        def right(answer: Answer) -> list[bool]:
            if len(answer.texts) < how.samples:
                raise ValueError(f"asked for n={how.samples} answers, got {len(answer.texts)}: the server ignores n")
            options = JudgeOptions(target_boxes=row.boxes)
            return [
                judge_answer(row.question, row.answer, reply, row.answer_type, options).right for reply in answer.texts
            ]

        # The gold answer decides only the reading, which is done anew each time; it is no part of the request.
        mark = fingerprint_question(batch, item, text, pictures, how.samples, how.temperature, how.max_tokens)
        return Task(f"{row.uid}/{tag}", mark, build, right)

    return zip_outcomes(batch, items, task, how.role)


def zip_outcomes(
    batch: Batch, items: Sequence[Item], task: Callable[[Item], Task[T]], role: str
) -> Iterator[tuple[Item, Done[T] | Failed]]:
    """Ask one task per item and give each outcome with its item; tasks are made as they are sent."""
    pending: dict[str, Item] = {}

    def tasks() -> Iterator[Task[T]]:
        for item in items:
            made = task(item)
            pending[made.key] = item
            yield made

    for outcome in batch.ask(tasks(), role=role, total=len(items)):
        yield pending.pop(outcome.key), outcome


def make_failed_verdict(item: Item, failed: Failed) -> GateVerdict:
    """An item nobody could judge goes, with the error; the next run asks again."""
    return GateVerdict(
        item.row.uid, f"no verdict: {failed.error}", f"after {failed.attempts} tries: {item.row.question}"
    )


def _bytes_hash(batch: Batch, image: str) -> str:
    return hashlib.sha256((batch.folder / image).read_bytes()).hexdigest()[:32]
