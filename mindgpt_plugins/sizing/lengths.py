"""How long the rows of a set are for a model, counted on them, or foreseen where they are not made yet."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.dataset_files import pick_even_positions, read_set_rows
from mindgpt_plugins.core.upright import read_upright_size
from mindgpt_plugins.families import AreaRule, PixelLimits, load_tokenizer, read_area_rule
from mindgpt_plugins.sizing.gpus import CostError
from mindgpt_plugins.sizing.model import Model
from mindgpt_plugins.sizing.samples import Picture, Sample, open_picture, read_samples

MOST = 512
"""Rows of a set whose tokens are counted, evenly over it; the mean stands for all."""
LETTERS = 4
"""Characters of a token, where the model's folder has no tokenizer."""
ASSUMED = 100
"""Tokens of a question, and of a reply, in rows that are not made yet."""


class NotYet(ValueError):
    """A cost that cannot be known before another stage has run; the message names it."""


@dataclass(frozen=True)
class RowTokens:
    """One row: tokens of its prompt (pictures and markup included) and of its reply, patches of its pictures."""

    prompt: float
    reply: float
    patches: tuple[int, ...] = ()
    source: str = ""
    difficulty: float | None = None


@dataclass(frozen=True)
class Rows:
    """A set.

    Attributes:
        count: its rows.
        items: some of them, evenly over the set.
        groups: rows of each source and capability, which evaluation samples from.
        notes: what was assumed.
    """

    count: int
    items: tuple[RowTokens, ...]
    groups: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TokenCounter:
    """Counts with a model's tokenizer and image sizes."""

    folder: Path
    model: Model
    min_pixels: int
    max_pixels: int
    seen: dict[Path, int] = field(default_factory=dict, compare=False)

    def item(self, sample: Sample) -> RowTokens:
        """Count one row."""
        turns = [(role, text.replace("<image>", "")) for role, text in sample.messages]
        answered = bool(turns) and turns[-1][0] == "assistant"
        vision = self.model.vision
        patches = tuple(self._patches(path) for path in sample.images) if vision else ()
        merged = vision.merge**2 if vision else 1
        pictures = sum(count // merged + 2 for count in patches)  # 2: vision start and end
        prompt = self._text(turns[:-1] if answered else turns, ask=True)
        return RowTokens(prompt + pictures, self._text(turns, ask=False) - prompt if answered else 0, patches)

    def unmade(self) -> RowTokens:
        """A row that does not exist yet: one picture of the largest size, a short question and reply."""
        vision = self.model.vision
        if vision is None:
            return RowTokens(ASSUMED, ASSUMED)
        tokens = self.max_pixels // (vision.patch * vision.merge) ** 2
        return RowTokens(ASSUMED + tokens, ASSUMED, (tokens * vision.merge**2,))

    @property
    def note(self) -> str | None:
        """What is said when tokens are guessed."""
        if self._tokenizer is not None:
            return None
        return f"no tokenizer with a chat template in {self.folder}: {LETTERS} characters of text are taken for a token"

    @property
    def _tokenizer(self) -> Any:
        found = load_tokenizer(self.folder)
        return None if found is None or found.chat_template is None else found

    @cached_property
    def _rule(self) -> AreaRule:
        vision = self.model.vision
        assert vision is not None
        side = vision.patch * vision.merge
        # Of a folder without processor only the recipe's limits are known.
        return read_area_rule(self.folder) or AreaRule(side, side * side, sys.maxsize, True)

    def _patches(self, picture: Picture) -> int:
        vision = self.model.vision
        assert vision is not None
        if isinstance(picture, Path) and picture in self.seen:
            return self.seen[picture]
        with open_picture(picture) as image:
            width, height = read_upright_size(image)
        limits = PixelLimits(self.min_pixels, self.max_pixels)
        count = self._rule.count_tokens(width, height, limits) * vision.merge**2
        if isinstance(picture, Path):  # rows share files; embedded pictures are not kept
            self.seen[picture] = count
        return count

    def _text(self, turns: Sequence[tuple[str, str]], ask: bool) -> int:
        if self._tokenizer is None:
            return sum(len(text) // LETTERS + 5 for _, text in turns)
        chat = [{"role": role, "content": text} for role, text in turns]
        text = self._tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=ask)
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])


def count_set_tokens(folder: Path, name: str, ruler: TokenCounter) -> Rows:
    """Count a set that is listed in a folder's ``dataset_info.json``.

    Raises:
        CostError: it has no rows.
        StageError: it is not listed, or its file cannot be read.
    """
    total = sum(1 for _ in read_set_rows(folder, name))
    if not total:
        raise CostError(f"set {name!r} in {folder} has no rows")
    chosen = pick_even_positions(total, MOST)
    items, groups = [], Counter[tuple[Any, Any]]()
    for number, sample in enumerate(read_samples(folder, name)):
        groups[sample.row.get("source"), sample.row.get("capability")] += 1
        if number in chosen:
            source, difficulty = str(sample.row.get("source", "")), sample.row.get("difficulty")
            items.append(replace(ruler.item(sample), source=source, difficulty=difficulty))
    some = f"tokens of {name} counted on {len(items)} of {total} rows" if len(items) < total else None
    notes = tuple(note for note in (some, ruler.note) if note)
    return Rows(total, tuple(items), tuple(groups.values()), notes)


@dataclass(frozen=True)
class Lengths:
    """The rows that a stage reads, as one model counts them.

    Attributes:
        ruler: the model's.
        share: length of replies that nobody has written yet, of their limit.
        read: dataset reference of the stage → its rows.
    """

    ruler: TokenCounter
    share: float
    read: Callable[[str], Rows]

    def rows(self, references: Iterable[str], weights: Mapping[int, float] | None = None) -> Rows:
        """The rows of several sets as one.

        Raises:
            NotYet: a set does not exist yet and its size cannot be foreseen.
            CostError: it never will.
        """
        return join_sets(map(self.read, references), weights)


def join_sets(sets: Iterable[Rows], weights: Mapping[int, float] | None = None) -> Rows:
    """Several sets as one; each contributes items by its rows, or by its weight."""
    every = [one for one in sets if one.count]
    total = sum(one.count for one in every)
    most = max((len(one.items) for one in every), default=0)
    items: list[RowTokens] = []
    for position, one in enumerate(every):
        share = (weights or {}).get(position, one.count / total)
        wanted = round(share * most * len(every))
        items += [one.items[i * len(one.items) // wanted] for i in range(wanted)] if wanted else []
    notes = tuple(dict.fromkeys(note for one in every for note in one.notes))
    return Rows(total, tuple(items), tuple(n for one in every for n in one.groups), notes)
