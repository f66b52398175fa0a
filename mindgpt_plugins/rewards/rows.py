"""The one way from a row and a reply to what rewards see; verl's rows, recorded lines and gold rows all take it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mindgpt_plugins.answers import as_gold
from mindgpt_plugins.rewards.sdk import Rollout

LABELS = ("knowledge", "capability")


def make_rollout_from_row(
    row: Mapping[str, Any],
    text: str,
    *,
    step: int,
    progress: float,
    token_ids: Sequence[int] = (),
    length: int | None = None,
    load_images: Callable[[], list[Any]] | None = None,
) -> Rollout:
    """Build the :class:`Rollout` of one reply to one row.

    Args:
        row: named as in the data sets: ``answer`` (the target), ``question``, ``answer_type``, ``type``, ``source``,
            ``knowledge`` and ``capability`` (or both in ``labels``), ``boxes``, ``difficulty``, ``uid``. What is
            missing or None gets the default of :class:`Rollout`.
        text: the reply, without special tokens.
        step: from 1.
        progress: share of the run.
        token_ids: of the reply.
        length: tokens of the reply; None: those of ``token_ids``, or words where there are none.
        load_images: decodes the row's pictures.
    """
    if length is None:
        length = len(token_ids) or len(text.split())
    labels = row.get("labels") or {name: row[name] for name in LABELS if row.get(name)}
    return Rollout(
        text=text,
        target=as_gold(row.get("answer"), _text(row, "answer_type", "text")),
        prompt=_text(row, "question"),
        answer_type=_text(row, "answer_type", "text"),
        type=_text(row, "type", "verifiable"),
        source=_text(row, "source"),
        labels={str(name): str(value) for name, value in labels.items()},
        boxes=row.get("boxes"),
        difficulty=float(row.get("difficulty") or 0.0),
        length=length,
        token_ids=token_ids,
        uid=_text(row, "uid"),
        step=step,
        progress=progress,
        load_images=load_images,
    )


def make_image_loader(folder: Path, row: Mapping[str, Any]) -> Callable[[], list[Any]]:
    """A function that decodes the pictures that a row names, relative to a folder."""
    names = row.get("image") or ()
    return partial(_open_all, [folder / name for name in ([names] if isinstance(names, str) else names)])


def _text(row: Mapping[str, Any], name: str, default: str = "") -> str:
    value = row.get(name)
    return default if value is None else str(value) or default


def _open_all(paths: Sequence[Path]) -> list[Any]:
    from mindgpt_data.io.images import open_image

    return [open_image(path) for path in paths]
