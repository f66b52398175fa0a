"""Recorded rollouts: our own dump of an ``rl`` stage, or any JSONL with a prompt id, a text and a target per line."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindgpt_plugins.answers import as_gold, is_float_of_whole_number
from mindgpt_plugins.core.json_text import parse_json_text
from mindgpt_plugins.core.registry import hint_nearest
from mindgpt_plugins.core.schedule import compute_progress
from mindgpt_plugins.rewards.rows import make_image_loader, make_rollout_from_row
from mindgpt_plugins.rewards.sdk import Rollout

#: Field → names it may have in a line; the last ones are those of verl's dump.
NAMES: dict[str, tuple[str, ...]] = {
    "text": ("text", "reply", "response", "completion", "output"),
    "target": ("target", "answer", "ground_truth", "gts"),
    "prompt": ("prompt", "question", "input"),
    "uid": ("uid", "prompt_id", "id", "row"),
    "source": ("source", "data_source"),
    "length": ("length", "tokens"),
}


class RecordedError(ValueError):
    """A file of rollouts cannot be read; the message names the file, the line and the fix."""


@dataclass(frozen=True)
class Recorded:
    """One line."""

    rollout: Rollout
    group: str
    components: Mapping[str, float | None]
    """What the run that wrote it scored; empty when the line does not say."""
    guessed: tuple[str, ...]
    """Fields that rewards may need and the line does not have."""
    advantage: float | None = None
    """What the run that wrote it trained on, its perception weight included; None when the line does not say."""
    alpha: float | None = None
    """Perception weight of that run."""
    dropped: bool | None = None
    """Did that run's group filter take it out of the update?"""
    float_target: bool = False
    """Is the target a whole number that a table program turned into a float?"""


def read_recorded_rollouts(
    path: Path, *, total_steps: int = 1, progress: float | None = None, images: Path | None = None
) -> list[Recorded]:
    """Read a JSONL file, or all of a folder in the order of their numbers.

    Args:
        path: file or folder.
        total_steps: of the run, to turn a line's step into its share of the run.
        progress: share of the run for all lines instead.
        images: folder that the lines' image names are relative to; without it rewards get no images.

    Raises:
        RecordedError: no file, no JSON, or a line without a text.
    """
    files = sorted(path.glob("*.jsonl"), key=lambda p: (len(p.stem), p.stem)) if path.is_dir() else [path]
    if not files or not all(file.is_file() for file in files):
        raise RecordedError(f"{path}: no such file, or a folder without .jsonl files")
    found = []
    for file in files:
        with file.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    found.append(_parse(line, f"{file}:{number}", total_steps, progress, images))
    if not found:
        raise RecordedError(f"{path}: it is empty")
    return found


def group_recorded_rollouts(recorded: list[Recorded]) -> Iterator[list[int]]:
    """Places of the lines of each group, in order of first appearance."""
    groups: dict[str, list[int]] = {}
    for place, one in enumerate(recorded):
        groups.setdefault(one.group, []).append(place)
    yield from groups.values()


def _parse(line: str, where: str, total: int, progress: float | None, images: Path | None) -> Recorded:
    row = _row(_decode(line, where), where)
    step = int(row.get("step") or 1)
    rollout = make_rollout_from_row(
        row,
        str(row["text"]),
        step=step,
        progress=compute_progress(step, total) if progress is None else progress,
        token_ids=row.get("token_ids") or (),
        length=None if row["length"] is None else int(row["length"]),
        load_images=None if images is None else make_image_loader(images, row),
    )
    return Recorded(
        rollout,
        group=f"{rollout.uid}@{step}" if row.get("group") is None else str(row["group"]),
        components=row.get("components") or {},
        guessed=_guessed(row, progress),
        advantage=_number(row, "advantage", where),
        alpha=_number(row, "alpha", where),
        dropped=None if row.get("dropped") is None else bool(row["dropped"]),
        float_target=is_float_of_whole_number(row["target"], str(row.get("answer_type") or "text")),
    )


def _row(data: dict[str, Any], where: str) -> dict[str, Any]:
    """The line with ``text``, ``length`` and the fields of a data row under the names they have there."""
    values = {field: next((data[n] for n in names if data.get(n) is not None), None) for field, names in NAMES.items()}
    if values["text"] is None:
        close = next((hint for name in NAMES["text"] if (hint := hint_nearest(name, data))), "")
        raise RecordedError(f"{where}: no reply; it is called one of: {', '.join(NAMES['text'])}{close}")
    kind = str(data.get("type") or "verifiable")
    if values["target"] is None and kind != "open":
        raise RecordedError(
            f"{where}: no target; it is called one of: {', '.join(NAMES['target'])}{_target_hint(data)}"
        )
    if kind != "open" and not as_gold(values["target"], str(data.get("answer_type") or "text")).strip():
        raise RecordedError(f"{where}: the target is empty, so that no reply could be right")
    if values["uid"] is None:
        values["uid"] = where.rpartition(":")[2]
    return data | values | {"answer": values["target"], "question": values["prompt"]}


def _guessed(row: Mapping[str, Any], progress: float | None) -> tuple[str, ...]:
    """Fields that rewards may need and the line does not have."""
    known = {
        "answer_type": row.get("answer_type"),
        "type": row.get("type"),
        "length": row.get("token_ids") if row["length"] is None else "given",
        "step": row.get("step") if progress is None else "not needed",
    }
    return tuple(name for name, value in known.items() if value is None or value == "")


def _decode(line: str, where: str) -> dict[str, Any]:
    try:
        data = parse_json_text(line)
    except ValueError as error:
        raise RecordedError(f"{where}: no JSON: {error}") from None
    if not isinstance(data, dict):
        raise RecordedError(f"{where}: a line is an object, not {type(data).__name__}")
    return data


def _target_hint(data: Mapping[str, Any]) -> str:
    """Where another tool has put it."""
    if isinstance(data.get("reward_model"), Mapping) and "ground_truth" in data["reward_model"]:
        return "; rename reward_model.ground_truth to target"
    known = next(
        (
            name
            for name in ("solution", "gold", "label", "expected", "reference", "references", "answers")
            if name in data
        ),
        None,
    )
    if known:
        return f"; rename {known!r} to 'target'"
    return next((hint for name in NAMES["target"] if (hint := hint_nearest(name, data))), "")


def _number(data: Mapping[str, Any], name: str, where: str) -> float | None:
    value = data.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise RecordedError(f"{where}: {name} is {value!r}; a finite number, or leave it out")
    return float(value)
