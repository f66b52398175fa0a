"""Evaluation sets as the decontamination gate sees them: n-grams of their texts, and their pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Scripts without spaces: every character is a word.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+")
_TEXTS = ("question", "prompt", "query", "instruction", "problem", "text")
_PICTURES = ("image", "images", "image_path")


class HeldOutError(ValueError):
    """An evaluation set cannot be read; the message names it and what it may be."""


@dataclass
class HeldOut:
    """What must not be trained on.

    Texts with fewer than ``n`` words have no n-gram: a short question alone proves nothing ("how many cars?"), its
    picture does.

    Attributes:
        n: words per n-gram.
        grams: n-gram → the set it is from.
        pictures: files of its pictures → the set.
    """

    n: int | None
    grams: dict[tuple[str, ...], str] = field(default_factory=dict)
    pictures: dict[Path, str] = field(default_factory=dict)

    def add(self, name: str, question: str, answer: str) -> None:
        """Add one item's words, where words are compared."""
        if self.n is None:
            return
        for gram in list_ngrams(question, answer, self.n):
            self.grams.setdefault(gram, name)


def tokenise_text(text: str) -> list[str]:
    """Lower-case words without punctuation."""
    return _WORD.findall(text.lower())


def list_ngrams(question: str, answer: str, n: int) -> Iterator[tuple[str, ...]]:
    """All n-grams of the question and its answer; nothing when they have fewer than ``n`` words together."""
    found = [*tokenise_text(question), *tokenise_text(answer)]
    for i in range(len(found) - n + 1):
        yield tuple(found[i : i + n])


def read_held_out_sets(sources: Iterable[str], n: int | None) -> HeldOut:
    """Read evaluation sets.

    Args:
        sources: ``<datasets folder>/<set>``, a ``.jsonl`` of objects with a question (and answer, image), or a ``.txt``
            with a question per line.
        n: words per n-gram, or None to compare no words.

    Raises:
        HeldOutError: a source that is none of these, or a line without a question.
    """
    held = HeldOut(n)
    for source in sources:
        path = Path(source).expanduser()
        if path.suffix == ".txt" and path.is_file():
            for line in path.read_text(encoding="utf-8-sig").split("\n"):
                held.add(source, line, "")
        elif path.suffix == ".jsonl" and path.is_file():
            _read_jsonl(held, source, path)
        else:
            _read_set(held, source, path)
    return held


def _read_set(held: HeldOut, source: str, path: Path) -> None:
    from mindgpt_data.export import read_set
    from mindgpt_data.schema.rows import RowError

    try:
        rows = read_set(path.parent, path.name)
    except RowError as error:
        raise HeldOutError(
            f"filter.against: {source!r} is no evaluation set: {error}. Give <datasets folder>/<set>, a .jsonl with "
            "questions, or a .txt with one per line"
        ) from None
    for row in rows:
        held.add(source, row.question, row.answer)
        for image in row.image:
            held.pictures.setdefault(path.parent / image, source)


def _read_jsonl(held: HeldOut, source: str, path: Path) -> None:
    from mindgpt_plugins.core.files import read_jsonl

    for place, data in read_jsonl(path):
        question = next((data[key] for key in _TEXTS if isinstance(data.get(key), str)), None)
        if question is None:
            raise HeldOutError(f"{place}: no question; one of the keys {', '.join(_TEXTS)} must hold a text")
        held.add(source, question, str(data.get("answer", "")))
        for image in _pictures(data):
            file = path.parent / image
            if not file.is_file():
                raise HeldOutError(f"{place}: picture {image!r} is not in {path.parent}")
            held.pictures.setdefault(file, source)


def _pictures(data: dict[str, Any]) -> list[str]:
    found: list[str] = []
    for key in _PICTURES:
        value = data.get(key)
        found += [value] if isinstance(value, str) else [v for v in value or [] if isinstance(v, str)]
    return found


def count_held_out(held: HeldOut) -> dict[str, int]:
    """How much there is to compare with."""
    return {"n-grams": len(held.grams), "pictures": len(held.pictures)}
