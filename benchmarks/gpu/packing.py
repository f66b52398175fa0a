"""Synthetic supervised samples with a picture each, padded into micro-batches or packed into rows."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

IGNORE = -100
GRIDS = ((16, 16), (24, 32), (32, 32), (32, 48), (48, 64))
"""Patches of the pictures (256 × 256 to 768 × 1024 pixels); four are one visual token."""
TINY_GRIDS = ((2, 4), (4, 4), (4, 6))


@dataclass(frozen=True)
class Sample:
    """Prompt with a picture, and its reply.

    Attributes:
        ids: (length,).
        labels: (length,), ``-100`` outside the reply.
        positions: (4, length): plain, and time, height, width of M-RoPE.
        grid: patches of the picture: (height, width).
    """

    ids: Tensor
    labels: Tensor
    positions: Tensor
    grid: tuple[int, int]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Step:
    """What one optimizer step learns from: micro-batches of keyword arguments for the model, and their labels."""

    batches: list[tuple[dict[str, Any], Tensor]]
    supervised: int


def samples(count: int, seed: int, config: dict[str, Any], tiny: bool) -> list[Sample]:
    """Prompts of 20–200 tokens and replies of 10–600 (tiny: 3–9 each), drawn from a seed."""
    rng = random.Random(seed)
    grids = TINY_GRIDS if tiny else GRIDS
    words = config["vision_start_token_id"] - 2
    merge = config["vision_config"]["spatial_merge_size"]
    made = []
    for _ in range(count):
        before, after, reply = (rng.randint(*span) for span in _spans(tiny))
        grid = rng.choice(grids)
        visual = grid[0] * grid[1] // merge**2
        text = [rng.randrange(words) for _ in range(before + after + reply)]
        ids = [*text[:before], config["vision_start_token_id"], *[config["image_token_id"]] * visual]
        ids += [config["vision_end_token_id"], *text[before:]]
        labels = [IGNORE] * (len(ids) - reply) + text[-reply:]
        made.append(Sample(torch.tensor(ids), torch.tensor(labels), positions(len(ids), before + 1, grid, merge), grid))
    return made


def _spans(tiny: bool) -> tuple[tuple[int, int], ...]:
    return ((3, 9),) * 3 if tiny else ((5, 20), (15, 180), (10, 600))


def positions(length: int, start: int, grid: tuple[int, int], merge: int) -> Tensor:
    """(4, length): plain positions, then M-RoPE's three for a picture whose tokens begin at ``start``."""
    height, width = grid[0] // merge, grid[1] // merge
    rows = torch.arange(height).repeat_interleave(width)
    columns = torch.arange(width).repeat(height)
    picture = torch.stack([torch.zeros_like(rows), rows, columns]) + start
    rest = torch.arange(length - start - height * width) + start + max(height, width)
    mrope = torch.cat([torch.arange(start).expand(3, -1), picture, rest.expand(3, -1)], 1)
    return torch.cat([torch.arange(length)[None], mrope])


def padded(step: Sequence[Sample], size: int, pixels: int, seed: int) -> Step:
    """Micro-batches of ``size`` samples, filled up on the right to the longest."""
    batches = []
    for first in range(0, len(step), size):
        part = step[first : first + size]
        longest = max(map(len, part))
        ids = torch.zeros(len(part), longest, dtype=torch.long)
        labels, mask = torch.full_like(ids, IGNORE), torch.zeros_like(ids)
        place = torch.zeros(4, len(part), longest, dtype=torch.long)
        for row, one in enumerate(part):
            here = slice(0, len(one))
            ids[row, here], labels[row, here], mask[row, here], place[:, row, here] = (
                one.ids, one.labels, 1, one.positions,
            )  # fmt: skip
        # Rows 1 to 3 only: the plain positions of a padded row must not look like several packed sequences.
        inputs = {"input_ids": ids, "attention_mask": mask, "position_ids": place[1:]}
        batches.append(({**inputs, **_pictures(part, pixels, seed + first)}, labels))
    return Step(batches, _supervised(step))


def packed(step: Sequence[Sample], size: int, pixels: int, seed: int) -> Step:
    """Rows of at most ``size`` tokens, several samples each; plain positions that begin anew keep them apart."""
    rows: list[tuple[int, list[Sample]]] = []
    for first, one in enumerate(step):
        if not rows or sum(map(len, rows[-1][1])) + len(one) > size:
            rows.append((first, []))
        rows[-1][1].append(one)
    batches = []
    for first, part in rows:
        inputs = {
            "input_ids": torch.cat([one.ids for one in part])[None],
            "position_ids": torch.cat([one.positions for one in part], 1)[:, None],
        }
        labels = torch.cat([one.labels for one in part])[None]
        batches.append(({**inputs, **_pictures(part, pixels, seed + first)}, labels))
    return Step(batches, _supervised(step))


def _supervised(step: Sequence[Sample]) -> int:
    return sum(int((one.labels != IGNORE).sum()) for one in step)


def _pictures(part: Sequence[Sample], pixels: int, seed: int) -> dict[str, Tensor]:
    """Random patches (all, ``pixels``); sample i of a step has the same whichever batch it is in."""
    made = []
    for offset, one in enumerate(part):
        generator = torch.Generator().manual_seed(seed + offset)
        made.append(torch.randn(one.grid[0] * one.grid[1], pixels, generator=generator))
    grid = torch.tensor([[1, *one.grid] for one in part])
    return {"pixel_values": torch.cat(made), "image_grid_thw": grid}
