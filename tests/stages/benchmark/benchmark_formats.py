"""Small local data sets in the very format of the public ones: their files, configurations, splits and columns.

Rows come from a set of ours (questions about rendered pictures), so that a small model can answer some of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LETTERS = "ABCD"


@dataclass(frozen=True)
class Item:
    """One question of ours, and answers to questions of the same kind to choose among."""

    number: int
    question: str
    answer: str
    capability: str
    picture: bytes
    others: tuple[str, ...]

    @property
    def options(self) -> list[str]:
        """Four options (fewer when there are fewer answers); where the right one stands depends on the number."""
        wrong = [other for other in self.others if other != self.answer][:3]
        at = self.number % (len(wrong) + 1)
        return [*wrong[:at], self.answer, *wrong[at:]]

    @property
    def letter(self) -> str:
        return LETTERS[self.options.index(self.answer)]

    @property
    def image(self) -> dict[str, Any]:
        return {"bytes": self.picture, "path": f"{self.number}.png"}


def items(folder: Path, name: str, limit: int | None = None) -> list[Item]:
    """Rows of ``<folder>/<name>.jsonl`` that have exactly one picture."""
    lines = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines() if line]
    lines = [line for line in lines if len(line["image"]) == 1][:limit]
    answers: dict[str, dict[str, None]] = {}
    for line in lines:
        answers.setdefault(line["capability"], {})[line["answer"]] = None
    return [
        Item(
            number,
            line["question"],
            line["answer"],
            line["capability"],
            (folder / line["image"][0]).read_bytes(),
            tuple(answers[line["capability"]]),
        )
        for number, line in enumerate(lines)
    ]


def write(name: str, rows: Sequence[Item], folder: Path) -> Path:
    """Write benchmark ``name`` into ``folder``, as a clone of its hub repository would look, and return the folder."""
    from datasets import Dataset, Image

    FORMATS[name]  # an unknown name fails before anything is written
    configs: dict[str, list[dict[str, str]]] = {}
    for config, split, file, lines in FORMATS[name](rows):
        table = Dataset.from_list(lines)
        for column in ("image", "decoded_image", *(f"image_{i}" for i in range(1, 8))):
            if column in table.column_names and not isinstance(lines[0][column], str):
                table = table.cast_column(column, Image())
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        table.to_parquet(str(folder / file))
        configs.setdefault(config, []).append({"split": split, "path": file})
    card = [{"config_name": config, "data_files": files} for config, files in configs.items()]
    (folder / "README.md").write_text(f"---\nconfigs: {json.dumps(card)}\n---\n")
    return folder


Part = tuple[str, str, str, list[dict[str, Any]]]
"""Configuration, split, file and rows."""


def _mmbench(rows: Sequence[Item]) -> Iterator[Part]:
    def line(item: Item) -> dict[str, Any]:
        options = {letter: item.options[i] if i < len(item.options) else "nan" for i, letter in enumerate(LETTERS)}
        group, _, leaf = item.capability.partition(".")
        return {
            "index": item.number,
            "question": item.question,
            "hint": "nan" if item.number % 2 else "Look at the picture.",
            "answer": item.letter,
            **options,
            "category": leaf,
            "image": item.image,
            "source": "world",
            "L2-category": group,
            "comment": "nan",
            "split": "dev",
        }

    for language in ("cn", "en"):
        yield language, "dev", f"{language}/dev-00000-of-00001.parquet", [line(item) for item in rows]


def _mmstar(rows: Sequence[Item]) -> Iterator[Part]:
    categories = ["coarse perception", "fine-grained perception", "instance reasoning", "logical reasoning", "math"]
    lines = [
        {
            "index": item.number,
            "question": f"{item.question}\nOptions: "
            + ", ".join(map(": ".join, zip(LETTERS, item.options, strict=False))),
            "image": item.image,
            "answer": item.letter,
            "category": categories[item.number % len(categories)],
            "l2_category": item.capability,
            "meta_info": {"source": "world", "split": "val", "image_path": f"images/{item.number}.png"},
        }
        for item in rows
    ]
    yield "val", "val", "mmstar.parquet", lines


def _mathvista(rows: Sequence[Item]) -> Iterator[Part]:
    def line(item: Item) -> dict[str, Any]:
        choose = not item.answer.isdigit()
        return {
            "pid": str(item.number),
            "question": item.question,
            "image": f"images/{item.number}.png",
            "decoded_image": item.image,
            "choices": item.options if choose else None,
            "unit": None,
            "precision": None if choose else 1.0,
            "answer": item.answer,
            "question_type": "multi_choice" if choose else "free_form",
            "answer_type": "text" if choose else "integer",
            "metadata": {
                "category": "general-vqa",
                "context": "synthetic scene",
                "grade": "daily life",
                "language": "english",
                "skills": ["numeric commonsense"],
                "source": "world",
                "split": "testmini",
                "task": "visual question answering" if choose else "figure question answering",
            },
            "query": item.question,
        }

    yield "default", "testmini", "data/testmini-00000-of-00001.parquet", [line(item) for item in rows]


def _mathvision(rows: Sequence[Item]) -> Iterator[Part]:
    lines = [
        {
            "id": str(item.number),
            "question": f"<image1>\n{item.question}",
            "options": [] if item.answer.isdigit() else item.options,
            "image": f"images/{item.number}.jpg",
            "decoded_image": item.image,
            "answer": item.answer if item.answer.isdigit() else item.letter,
            "solution": None,
            "level": 1 + item.number % 5,
            "subject": ("counting", "metric geometry - area")[item.number % 2],
        }
        for item in rows
    ]
    yield "default", "test", "data/test-00000-of-00001.parquet", lines


def _mmmu(rows: Sequence[Item]) -> Iterator[Part]:
    def line(item: Item, subject: str) -> dict[str, Any]:
        choose = not item.answer.isdigit()
        return {
            "id": f"validation_{subject}_{item.number}",
            "question": f"<image 1> {item.question}",
            "options": repr(item.options if choose else []),
            "explanation": "",
            **{f"image_{i}": item.image if i == 1 else None for i in range(1, 8)},
            "img_type": "['Diagrams']",
            "answer": item.letter if choose else item.answer,
            "topic_difficulty": ("Easy", "Medium", "Hard")[item.number % 3],
            "question_type": "multiple-choice" if choose else "open",
            "subfield": item.capability,
        }

    for at, subject in enumerate(("Art", "Math")):
        lines = [line(item, subject) for item in rows[at::2]]
        yield subject, "validation", f"{subject}/validation-00000-of-00001.parquet", lines


def _ocrbench(rows: Sequence[Item]) -> Iterator[Part]:
    lines = [
        {
            "dataset": "world",
            "question": item.question,
            "question_type": ("Scene Text-centric VQA", "Doc-oriented VQA")[item.number % 2],
            "answer": [item.answer],
            "image": item.image,
        }
        for item in rows
    ]
    yield "default", "test", "data/test-00000-of-00001.parquet", lines


def _stated(item: Item) -> tuple[str, bool]:
    """A question with the answer yes or no."""
    true = item.number % 2 == 0
    said = item.answer if true else next((o for o in item.others if o != item.answer), f"not {item.answer}")
    return f"{item.question} Is the answer {said}?", true


def _hallusionbench(rows: Sequence[Item]) -> Iterator[Part]:
    def line(item: Item) -> dict[str, Any]:
        question, true = _stated(item)
        return {
            "category": ("VD", "VS")[item.number % 2],
            "subcategory": ("figure", "chart")[item.number // 2 % 2],
            "visual_input": "1",
            "set_id": str(item.number // 4),
            "figure_id": str(item.number % 2),
            "sample_note": "world",
            "question_id": str(item.number % 4),
            "question": question,
            "gt_answer_details": item.answer,
            "gt_answer": str(int(true)),
            "filename": f"{item.number}.png",
            "image": item.image,
        }

    yield "default", "image", "data/image-00000-of-00001.parquet", [line(item) for item in rows]


def _pope(rows: Sequence[Item]) -> Iterator[Part]:
    def line(item: Item, category: str) -> dict[str, Any]:
        question, true = _stated(item)
        return {
            "id": str(item.number),
            "question_id": str(item.number),
            "question": question,
            "answer": "yes" if true else "no",
            "image_source": "world",
            "image": item.image,
            "category": category,
        }

    for at, category in enumerate(("adversarial", "popular", "random")):
        lines = [line(item, category) for item in rows[at::3]]
        yield "Full", category, f"Full/{category}-00000-of-00001.parquet", lines


FORMATS: dict[str, Callable[[Sequence[Item]], Iterator[Part]]] = {
    "mmbench": _mmbench,
    "mmstar": _mmstar,
    "mathvista": _mathvista,
    "mathvision": _mathvision,
    "mmmu": _mmmu,
    "ocrbench": _ocrbench,
    "hallusionbench": _hallusionbench,
    "pope": _pope,
}
