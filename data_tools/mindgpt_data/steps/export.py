"""Step ``export``: kept rows → the datasets folder that LLaMA-Factory, verl and the evaluator load."""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mindgpt_data import engines
from mindgpt_data.adversarial import make_twins
from mindgpt_data.export import copy_picture, list_sets, remove_set, write_preference_set, write_set
from mindgpt_data.export.split import assign_splits
from mindgpt_data.gates.batch import find_picture_paths
from mindgpt_data.io.images import ImageError
from mindgpt_data.io.progress import Progress, ignore_update
from mindgpt_data.io.work import Drop, Work
from mindgpt_data.schema.config import DataSettings
from mindgpt_data.schema.record import ImageRecord
from mindgpt_data.schema.rows import Pair, Row
from mindgpt_plugins.core.files import read_jsonl
from mindgpt_plugins.core.own_folders import mark_own_folder

STEP = "export"
INLINE = 64
"""Up to this many pictures are copied in this process: starting workers would cost more."""
SPLITS = ("train", "dev", "test")


class ExportError(ValueError):
    """There is nothing to export; the message says what left it out."""


def run(work: Work, settings: DataSettings, *, seed: int = 0, progress: Progress = ignore_update) -> dict[str, Any]:
    """Write ``<name>_train``, ``_dev`` and ``_test`` (those with rows) and the pictures they show.

    With ``export.split`` all rows are of that split and the one set is called ``<name>``.

    Right and wrong replies that the agreement gate saw become ``<name>_pairs``, for training rows.
    ``generate.adversarial`` adds that share of adversarial twins, each after its answerable partner.
    Sets of an earlier export under the same name that have no rows any more are removed.

    Raises:
        FileError: kept rows or images are missing or malformed.
        ExportError: no row is left, or ``export.split`` contradicts the corpus.
    """
    started = time.monotonic()
    chosen = settings.export
    mark_own_folder(work.datasets)  # it may lie among the pictures: those in it are no new ones
    records = {record.image: record for record in work.read_images()}
    rows = list(work.read_rows(work.kept, "filter"))
    drops: list[Drop] = []
    limit = settings.images.max_megapixels
    names, broken = copy_row_pictures(rows, records, work, limit, progress)
    rows = _whole(rows, broken, drops)
    extra = make_twins(rows, records, work.folder, share=settings.generate.adversarial, seed=seed)
    names |= copy_row_pictures(extra, records, work, limit, progress)[0]
    rows = _beside(rows, extra)
    if chosen.split:
        _refuse_other_splits(records, chosen.split)
        rows = [replace(row, split=chosen.split) for row in rows]
    else:
        rows = place_rows(rows, records, {"dev": chosen.dev, "test": chosen.test}, seed, drops)
    if not rows:
        why = Counter(f"{drop.gate}: {drop.reason}" for drop in drops or work.read_drops("filter")).most_common(1)
        first = f"most often ({why[0][1]}): {why[0][0]}" if why else "it is empty"
        raise ExportError(f"{work.kept}: no row to export; {first}")
    exported = [replace(row, image=[name for image in row.image for name in names[image]]) for row in rows]
    counts = {}
    for split in (chosen.split,) if chosen.split else SPLITS:
        name = chosen.name if chosen.split else f"{chosen.name}_{split}"
        members = [row for row in exported if row.split == split]
        if members:
            write_set(members, work.datasets, name, chosen.formats)
            counts[name] = {"items": len(members), "images": len({image for row in members for image in row.image})}
        elif name in list_sets(work.datasets):
            remove_set(work.datasets, name)
    counts |= _pairs(work, [row for row in exported if row.split == "train"], f"{chosen.name}_pairs", chosen.formats)
    work.write_drops(STEP, drops)
    summary = {
        "items": len(exported),
        "sets": counts,
        "types": dict(Counter(row.type for row in exported)),
        "dropped": dict(Counter(drop.reason for drop in drops)),
        "seconds": round(time.monotonic() - started, 3),
        "settings": chosen.model_dump(mode="json"),
        "seed": seed,
    }
    work.write_summary(STEP, summary)
    return summary


def _refuse_other_splits(records: Mapping[str, ImageRecord], split: str) -> None:
    for record in records.values():
        if record.split not in ("", split):
            raise ExportError(
                f"export.split is {split}, but the corpus says that {record.image!r} is {record.split}; leave "
                "export.split out, or give the images of each split a corpus of their own"
            )


def _pairs(work: Work, rows: list[Row], name: str, formats: Sequence[str]) -> dict[str, dict[str, int]]:
    """Write the preference pairs of training rows, for LLaMA-Factory; returns the set's counts, if there is one."""
    made = []
    if work.pairs.is_file() and "sharegpt" in formats:
        of = {row.uid: row for row in rows}
        for _, data in read_jsonl(work.pairs):
            if data["uid"] in of:
                made.append(Pair(of[data["uid"]], data["chosen"], data["rejected"], "right_wrong"))
    if made:
        write_preference_set(made, work.datasets, name)
        return {name: {"items": len(made), "images": len({image for pair in made for image in pair.row.image})}}
    if name in list_sets(work.datasets):
        remove_set(work.datasets, name)
    return {}


def copy_row_pictures(
    rows: list[Row],
    records: Mapping[str, ImageRecord],
    work: Work,
    max_megapixels: float,
    progress: Progress = ignore_update,
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Copy every picture of ``rows`` into the datasets folder, once.

    Returns:
        Image id → file names in the datasets folder, and image id → why it could not be read.
    """
    files: dict[str, dict[str, Path]] = {}
    broken: dict[str, str] = {}
    for image in dict.fromkeys(image for row in rows for image in row.image):
        try:
            paths = find_picture_paths(image, records, work.folder)
        except ValueError:
            broken[image] = "not in images.jsonl"
            continue
        # Records know the content of their first picture: equal ones are opened once.
        first = records[image].content if image in records else ""
        files[image] = {(first if i == 0 and first else str(path)): path for i, path in enumerate(paths)}
    distinct = {key: path for found in files.values() for key, path in found.items()}
    copy = functools.partial(_copy, folder=work.datasets, max_megapixels=max_megapixels)
    outcomes = engines.map_items(copy, distinct.values(), inline=INLINE)
    copied: dict[str, tuple[str, str]] = {}
    for number, (key, outcome) in enumerate(zip(distinct, outcomes, strict=True), 1):
        copied[key] = outcome.value or ("", outcome.error)
        if number % 100 == 0 or number == len(distinct):
            progress({"stage": STEP, "step": number, "total": len(distinct)})
    names = {}
    for image, found in files.items():
        if reason := next((copied[key][1] for key in found if copied[key][1]), ""):
            broken[image] = reason
        names[image] = [copied[key][0] for key in found]
    return names, broken


def _copy(path: Path, folder: Path, max_megapixels: float) -> tuple[str, str]:
    """File name in the datasets folder, or why not."""
    try:
        return copy_picture(path, folder, max_megapixels), ""
    except ImageError as error:
        return "", error.reason


def _whole(rows: list[Row], broken: Mapping[str, str], drops: list[Drop]) -> list[Row]:
    """Rows all of whose pictures could be read."""
    whole = []
    for row in rows:
        lost = next((image for image in row.image if image in broken), None)
        if lost is None:
            whole.append(row)
        else:
            drops.append(Drop(STEP, "picture", broken[lost], row.uid, lost))
    return whole


def _beside(rows: list[Row], extra: list[Row]) -> list[Row]:
    """Every row followed by its twins."""
    of: dict[str, list[Row]] = {}
    for twin in extra:
        of.setdefault(str(twin.twin_uid), []).append(twin)
    return [one for row in rows for one in (row, *of.get(row.uid, ()))]


def place_rows(
    rows: list[Row], records: Mapping[str, ImageRecord], shares: Mapping[str, float], seed: int, drops: list[Drop]
) -> list[Row]:
    """Rows with their split; what has no place becomes a drop.

    Adversarial twins follow their partner and decide nothing: which pictures they were swapped with changes with the
    corpus, and must not move others.
    """
    ties = {row.uid: [tie for image in row.image if image in records for tie in _ties(records[image])] for row in rows}
    fixed = [(tie, record.split) for record in records.values() if record.split for tie in _ties(record)]
    leaders = [row for row in rows if not _follows(row)]
    splits, torn = assign_splits(leaders, ties, fixed, shares, seed)
    reasons = dict.fromkeys(torn, "its pictures belong to different splits")
    shown = dict(fixed) | {tie: splits[row.uid] for row in leaders if row.uid in splits for tie in ties[row.uid]}
    for row in filter(_follows, rows):
        split = splits.get(str(row.twin_uid))
        if split is None:
            reasons[row.uid] = "its answerable twin was left out"
        elif any(shown.setdefault(tie, split) != split for tie in ties[row.uid]):
            reasons[row.uid] = "shows a picture of another split than its answerable twin"
        else:
            splits[row.uid] = split
    drops += [Drop(STEP, "split", reasons[r.uid], r.uid, ", ".join(r.image)) for r in rows if r.uid in reasons]
    return [replace(row, split=splits[row.uid]) for row in rows if row.uid in splits]


def _follows(row: Row) -> bool:
    return row.type == "adversarial" and row.twin_uid is not None


def _ties(record: ImageRecord) -> tuple[str, str]:
    """What keeps a picture with others. Pictures that a step made (a blank one) tie nothing: all would be one."""
    return f"content:{record.content}", f"group:{record.group or record.content}"
