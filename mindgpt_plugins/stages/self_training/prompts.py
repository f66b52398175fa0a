"""Rows as prompts, and rows moved with their pictures from one datasets folder to another."""

from __future__ import annotations

import filecmp
import hashlib
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from mindgpt_data.export import read_set
from mindgpt_data.schema.rows import Row

from mindgpt_plugins.core.files import replace_file
from mindgpt_plugins.generation.config import SetLocation
from mindgpt_plugins.generation.hf_engine import Prompt


class SelfTrainingError(RuntimeError):
    """No usable data came out of a model's replies; the message says what to change."""


@dataclass(frozen=True)
class LocatedRow:
    """A row and the datasets folder its images are in."""

    row: Row
    folder: Path

    def prompt(self, *, prefix: str = "", blank: bool = False) -> Prompt:
        """The row as a prompt keyed by its uid."""
        images = tuple(self.folder / name for name in self.row.image)
        return Prompt(self.row.uid, self.row.question, images, prefix, blank)


def read_items(sets: Iterable[SetLocation]) -> dict[str, LocatedRow]:
    """Uid → item of several sets.

    Raises:
        SelfTrainingError: a uid is in two of the sets.
    """
    items: dict[str, LocatedRow] = {}
    for where in sets:
        for row in read_set(where.folder, where.name):
            if row.uid in items:
                raise SelfTrainingError(
                    f"uid {row.uid!r} of set {where.name!r} is also in {items[row.uid].folder}; "
                    "list every set once and give rows unique uids"
                )
            items[row.uid] = LocatedRow(row, where.folder)
    return items


def adopt_row_images(item: LocatedRow, folder: Path) -> Row:
    """Bring a row's images into another datasets folder and return the row with their names there.

    Files are hard links where the file system allows. A name taken by another picture gets a hash in front.
    """
    return replace(item.row, image=[_adopt(item.folder, name, folder) for name in item.row.image])


def _adopt(source: Path, name: str, folder: Path) -> str:
    origin, target = source / name, folder / name
    if target.is_file():
        if os.path.samefile(origin, target) or filecmp.cmp(origin, target, shallow=False):
            return name
        digest = hashlib.sha256(origin.read_bytes()).hexdigest()[:16]
        name = str(Path(name).with_name(f"{digest}-{Path(name).name}"))
        target = folder / name
        if target.is_file():
            return name
    with replace_file(target, sync=False) as aside:
        aside.unlink(missing_ok=True)
        try:
            os.link(origin, aside)
        except OSError:  # another file system, or one without hard links
            shutil.copy2(origin, aside)
    return name
