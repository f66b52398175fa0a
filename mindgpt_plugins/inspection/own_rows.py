"""Rows of our own sets (JSON Lines), which evaluation and self-training read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mindgpt_data.schema.rows import Row, RowError

from mindgpt_plugins.core.dataset_files import SetRow
from mindgpt_plugins.core.files import read_jsonl
from mindgpt_plugins.inspection.faults import Fault
from mindgpt_plugins.inspection.labels import find_answer_faults
from mindgpt_plugins.inspection.turns import TAGS
from mindgpt_plugins.sizing.samples import Sample


def read_own_rows(file: Path) -> Iterator[SetRow]:
    """Rows of a file, one at a time.

    Raises:
        FileError: a line is no JSON object.
    """
    for number, (_, data) in enumerate(read_jsonl(file)):
        yield SetRow(data, number, file)


def find_row_faults(row: SetRow) -> Iterator[Fault]:
    """Faults of a row's fields and of its answer."""
    try:
        found = Row.from_json(row.data, "")
    except RowError as error:
        yield Fault("malformed", row.place, str(error).removeprefix(": "))
        return
    if tag := next((tag for tag in TAGS.values() if tag in found.question), None):
        yield Fault("placeholders", row.place, f"the question itself holds {tag}")
    if found.type != "open":  # an open one is graded by a judge
        yield from find_answer_faults(
            row.place, found.answer, found.answer_type, question=found.question, boxes=found.boxes
        )


def make_own_sample(folder: Path, row: SetRow) -> Sample:
    """A sound row as the model is asked."""
    data = row.data
    images = tuple(folder / name for name in data["image"])
    return Sample(row.place, (("user", data["question"]),), images, data)
