"""Calibration rows: spread over the labels, and through the model's own processor with their pictures."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mindgpt_data.rows import Row

Item = tuple[Row, Path]
"""A row and the folder its images are relative to."""


def stratified(items: Sequence[Item], count: int, by: str, seed: int) -> list[Item]:
    """``count`` items, one per label in turn: rare labels are not drowned by frequent ones.

    Args:
        items: rows with their folders.
        count: wanted; all items when there are fewer.
        by: ``capability`` or ``knowledge``.
        seed: of the order within a label.
    """
    groups: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        groups[getattr(item[0], by) or ""].append(item)
    for label, members in groups.items():
        random.Random(f"{seed}/{label}").shuffle(members)
    chosen: list[Item] = []
    for turn in range(max(map(len, groups.values()), default=0)):
        for label in sorted(groups):
            if turn < len(groups[label]) and len(chosen) < count:
                chosen.append(groups[label][turn])
    return chosen


class Encoded(Sequence[Mapping[str, Any]]):
    """Question, pictures and supervised reply as the model's inputs, one row at a time."""

    def __init__(self, items: Sequence[Item], processor: Any, pixels: Mapping[str, int]):
        self.items, self.processor, self.pixels = items, processor, pixels

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return (self[at] for at in range(len(self)))

    def __getitem__(self, at: Any) -> Any:
        from mindgpt_plugins.evaluate.engine import Prompt, chat_text, open_image

        row, folder = self.items[at]
        paths = tuple(folder / name for name in row.image)
        text = chat_text(self.processor, Prompt(row.uid, row.question, paths, prefix=row.response))
        options: dict[str, Any] = {"return_tensors": "pt"}
        if paths:
            options |= {"images": [open_image(path, False) for path in paths], "size": dict(self.pixels)}
        return dict(self.processor(text=[text], **options))
