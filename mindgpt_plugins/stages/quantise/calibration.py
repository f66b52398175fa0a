"""Calibration rows: with pictures, spread over the labels, and through the model's own processor."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mindgpt_data.export import read_set
from mindgpt_data.schema.rows import Row

from mindgpt_plugins.families import ModelFamily, PixelLimits
from mindgpt_plugins.stages.quantise.job import CalibrationJob

Item = tuple[Row, Path]
"""A row and the folder its images are relative to."""


class CalibrationError(RuntimeError):
    """The sets cannot calibrate this model; the message says what to do."""


def select_calibration_rows(asked: CalibrationJob, *, vision: bool, seed: int) -> list[Item]:
    """The rows a recipe's ``calibration`` stands for.

    llm-compressor traces the model with the first row's inputs, so pictures are in all of them: rows without one are
    left out, unless ``text_only`` asks for the contrary.

    Args:
        asked: which sets, how many rows, spread over which labels, with pictures or without.
        vision: has the model a vision part?
        seed: see :func:`stratify_items`.

    Raises:
        CalibrationError: no row is left, the model sees but no row has a picture, or a picture is missing.
    """
    items = [(row, where.folder) for where in asked.sets for row in read_set(where.folder, where.name)]
    names = ", ".join(where.name for where in asked.sets)
    pictures = vision and not asked.text_only
    wanted = [item for item in items if bool(item[0].image) == pictures]
    if not wanted and pictures:
        raise CalibrationError(
            f"calibration.sets ({names}): none of {len(items)} rows has a picture, and the model has a vision part: "
            "calibrated on text alone it would lose quality unseen. Name a set with pictures, or set "
            "calibration.text_only: true"
        )
    if not wanted:
        raise CalibrationError(
            f"calibration.sets ({names}): all of {len(items)} rows have pictures; name a set of text"
        )
    if len(wanted) < len(items):
        kind = "without" if pictures else "with"
        print(f"calibration: {len(items) - len(wanted)} rows {kind} a picture are left out", flush=True)
    chosen = stratify_items(wanted, asked.rows, asked.by, seed)
    lost = [(row, root / name) for row, root in chosen for name in row.image if not (root / name).is_file()]
    if lost:
        row, path = lost[0]
        raise CalibrationError(
            f"calibration.sets ({names}): {len(lost)} pictures of {len(chosen)} rows are missing; the first: {path} of "
            f"row {row.uid}. Copy the pictures beside the set, or make the set anew"
        )
    return chosen


def stratify_items(items: Sequence[Item], count: int, by: str, seed: int) -> list[Item]:
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

    def __init__(self, items: Sequence[Item], family: ModelFamily, limits: PixelLimits):
        self.items, self.family, self.limits = items, family, limits

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return (self[at] for at in range(len(self)))

    def __getitem__(self, at: Any) -> Any:
        from mindgpt_plugins.generation.hf_engine import Prompt, open_image, render_prompt

        row, folder = self.items[at]
        paths = tuple(folder / name for name in row.image)
        text = render_prompt(self.family, Prompt(row.uid, row.question, paths, prefix=row.response))
        pictures = [self.family.fit_picture(open_image(path, False), self.limits) for path in paths]
        return self.family.encode([text], [pictures], return_tensors="pt")
