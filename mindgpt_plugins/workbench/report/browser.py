"""``rollouts.html``: every recorded group of a run's RL stages, to filter, search and read; one file, no network.

The page holds a compressed index (all filters and the list need no more) and compressed chunks of whole groups that
are opened when one is looked at or searched. Compressed and base64, so that no reply can end a script element.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mindgpt_plugins.rewards.stance import classify_refusal, read_gold_reason
from mindgpt_plugins.web.page import render_page
from mindgpt_plugins.workbench.report import dump, thumbnails
from mindgpt_plugins.workbench.report.run import ReportedRun, StageView

CHUNK = 32
"""Groups that are compressed together."""
MOST = 200_000
"""Replies in a page; of a longer run every second, third, … step is kept, and the page says so."""
LARGEST = 46_000_000
"""Bytes of a page; what many mail servers and viewers still take is 50 MB."""
LARGEST_TEXT = 30_000_000
"""Bytes of packed replies in a page; of longer ones steps are left out in the same way. Pictures get the rest."""
SHOWN = 90
"""Characters of a prompt in the list."""
MIXED, VIOLATION, PUSHED_DOWN, ALL_CORRECT, ALL_WRONG, REFUSAL, DROPPED = (1 << bit for bit in range(7))
"""Bits of a group's flags; the same order as in ``rollouts.js``."""
_REPLY = ("reply", "score", "modulated", "advantage", "tokens", "alpha", "dropped", "components", "log")


@dataclass
class _Packed:
    """Groups in the form in which the page holds them."""

    index: list[list[Any]] = field(default_factory=list)
    chunks: list[str] = field(default_factory=list)
    shown: list[list[str]] = field(default_factory=list)
    """Per group the pictures of its prompt."""
    notes: list[str] = field(default_factory=list)
    size: int = 0
    """Bytes of ``chunks``."""
    replies: int = 0
    whole: bool = True
    """Was there room for all that was to be packed?"""


def render_browser_page(run: ReportedRun) -> str | None:
    """The whole page; None when no RL stage of the run has recorded anything yet."""
    stages = [(stage, dump.list_dump_files(stage)) for stage in run.stages if stage.rules.rollouts]
    stages = [(stage, paths) for stage, paths in stages if paths]
    if not stages:
        return None
    folders = dump.list_picture_folders(run)
    packed = _pack_what_fits(stages, folders)
    if not packed.index:
        return None
    notes = packed.notes
    pictures = thumbnails.embed_thumbnails(
        (name for names in packed.shown for name in names), folders, min(thumbnails.LARGEST, LARGEST - packed.size)
    )
    for entry, names in zip(packed.index, packed.shown, strict=True):
        entry.append([pictures.place.get(name, name.rpartition("/")[2]) for name in names])
    if pictures.missing:
        notes.append(f"{pictures.missing} pictures are not there any more")
    if pictures.outside:
        notes.append(
            f"{pictures.outside} pictures lie outside the sets' folders; the recipe's report.pictures can list theirs"
        )
    if pictures.beyond:
        notes.append(f"{pictures.beyond} pictures are named only: the page stays below {LARGEST / 1e6:.0f} MB")
    head = {"stages": [stage.name for stage, _ in stages], "chunk": CHUNK, "notes": notes, "groups": packed.index}
    return render_page(
        "rollouts.html",
        recipe=str(run.manifest["recipe"]),
        index=_packed(head),
        chunks=packed.chunks,
        pictures=pictures.data,
    )


def _pack_what_fits(stages: list[tuple[StageView, list[Path]]], folders: list[Path]) -> _Packed:
    """Every group, or those of every second, third, … step when there are too many replies, or too long ones."""
    thin = 1
    last: list[Any] | None = None
    while not (packed := _pack(stages, folders, thin)).whole and packed.index[-1] != last:
        last, thin = packed.index[-1], 2 * thin
    if not packed.whole:  # a single step fills the page
        packed.notes.append(f"only the first {packed.replies} replies of it are here: they are very long")
    return packed


def _pack(stages: list[tuple[StageView, list[Path]]], folders: list[Path], thin: int) -> _Packed:
    """Pack one step in ``thin`` of those that ``MOST`` allows, but no more than ``LARGEST_TEXT`` bytes."""
    packed = _Packed()
    waiting: list[dict[str, Any]] = []

    def close() -> None:
        if waiting:
            packed.chunks.append(_packed(waiting))
            packed.size += len(packed.chunks[-1])
            waiting.clear()

    for place, (stage, paths) in enumerate(stages):
        every = thin * _every(paths, MOST // len(stages))
        if every > 1:
            packed.notes.append(
                f"{stage.name}: one step in {every} is here; all of them are in {stage.folder / 'rollouts'}"
            )
        for lines in _kept(paths, every):
            if packed.size > LARGEST_TEXT:
                packed.whole = False
                return packed
            packed.index.append(_entry(place, lines))
            packed.shown.append(dump.locate_line_pictures(lines[0], folders))
            packed.replies += len(lines)
            waiting.append(_whole(lines))
            if len(waiting) == CHUNK:
                close()
    close()
    return packed


def _every(paths: list[Path], most: int) -> int:
    """Keep one step in so many; judged by the first file's lines, for steps are alike."""
    with paths[0].open("rb") as first:
        lines = sum(1 for _ in first)
    return max(1, -(-lines * len(paths) // most))


def _kept(paths: list[Path], every: int) -> Iterator[list[dump.Line]]:
    if len(paths) == 1:  # all steps in one file
        yield from (lines for lines in dump.read_dump_groups(paths[0]) if (lines[0]["step"] - 1) % every == 0)
        return
    for path in paths[::every]:
        yield from dump.read_dump_groups(path)


def _entry(stage: int, lines: list[dump.Line]) -> list[Any]:
    """A group in the index: what filters, sorting and the list need."""
    first = lines[0]
    advantages = [_number(line["advantage"]) for line in lines]
    right = [(_number(line["score"]) or 0.0) >= 0.5 for line in lines]
    return [
        stage,
        first["step"],
        first["group"],
        first["source"],
        first["type"],
        str(first["labels"].get("knowledge", "")),
        str(first["labels"].get("capability", "")),
        _flags(lines, advantages, right),
        [None if a is None else round(a, 4) for a in advantages],
        "".join("01"[good] for good in right),
        _mean([_number(line["tokens"]) for line in lines]),
        _number(first["difficulty"]),
        first["prompt"][:SHOWN],
    ]


def _flags(lines: list[dump.Line], advantages: list[float | None], right: list[bool]) -> int:
    up = [a for a, good in zip(advantages, right, strict=True) if good and a is not None]
    down = [a for a, good in zip(advantages, right, strict=True) if not good and a is not None]
    dropped = all(line["dropped"] for line in lines)
    found = MIXED if any(right) and not all(right) else ALL_CORRECT if all(right) else ALL_WRONG
    # As the trainer counts them: a wrong reply that is pushed as much as a right one is one too.
    if up and down and min(up) <= max(down) and not dropped:
        found |= VIOLATION
    if any(a < 0 for a in up):
        found |= PUSHED_DOWN
    if any(_refuses(line, good) for line, good in zip(lines, right, strict=True)):
        found |= REFUSAL
    return found | (DROPPED if dropped else 0)


def _refuses(line: dump.Line, right: bool) -> bool:
    # "none" is a refusal, unless it is the answer.
    if right and read_gold_reason(line["target"]) is None:
        return False
    return classify_refusal(line["reply"]).kind == "refuses"


def _whole(lines: list[dump.Line]) -> dict[str, Any]:
    first = lines[0]
    kept = {key: first[key] for key in ("uid", "prompt", "target", "answer_type", "labels")}
    return kept | {"replies": [{k: line[k] for k in _REPLY if line[k] is not None} for line in lines]}


def _packed(data: Any) -> str:
    # JSON has no NaN, and one in a reward's log must not cost the page.
    text = json.dumps(_finite(data), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode("utf-8", "replace"), 6, mtime=0)).decode()


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_finite(value) for value in data]
    return str(data) if isinstance(data, float) and not math.isfinite(data) else data


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 1) if known else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and value == value and abs(value) < 1e300 else None
