"""Step ``images``: a corpus on disk → ``images.jsonl``; a picture that cannot be used becomes a drop."""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindgpt_data import engines
from mindgpt_data.corpus import CorpusError, read_corpus
from mindgpt_data.corpus.boxes import settle_boxes
from mindgpt_data.io.images import ImageError, hash_rgb_pixels, open_image
from mindgpt_data.io.progress import Progress, ignore_update
from mindgpt_data.io.work import Drop, Work
from mindgpt_data.schema.record import ImageRecord
from mindgpt_plugins.core import files
from mindgpt_plugins.core.image_size import MOST_RATIO

if TYPE_CHECKING:
    from PIL.Image import Image

    from mindgpt_data.schema.config import DataSettings

STEP = "images"
INLINE = 64
"""Up to this many pictures are opened in this process: starting workers would cost more."""


def run(work: Work, settings: DataSettings, *, seed: int = 0, progress: Progress = ignore_update) -> dict[str, Any]:
    """Read the corpus in ``settings.images``, open every picture once, and write the records.

    Raises:
        CorpusError: see :func:`mindgpt_data.corpus.read_corpus` and
            :func:`mindgpt_data.corpus.boxes.settle_boxes`; also when not a single picture could be used.
    """
    start = time.monotonic()
    path, wanted = settings.images.path, settings.images
    corpus = read_corpus(Path(path).expanduser(), wanted.source, wanted.boxes)
    drops, measured = list(corpus.drops), list[ImageRecord]()
    for number, (record, refused) in enumerate(measure_records(corpus.records, wanted.max_megapixels), 1):
        drops.extend(refused)
        progress({"stage": STEP, "step": number, "total": len(corpus.records), "failed": len(drops)})
        if record is not None:
            measured.append(record)
    settled = settle_boxes(measured, corpus.boxes, path, drop_invalid=wanted.drop_invalid_boxes)
    drops.extend(settled.drops)
    count = files.write_jsonl(work.images, (record.to_json() for record in settled.records))
    work.write_drops(STEP, drops)
    if not count:
        work.images.unlink()
        raise CorpusError(f"{path}: no picture can be used; first: {drops[0].key}: {drops[0].reason}")
    summary = {
        "images": count,
        "dropped": dict(Counter(drop.reason for drop in drops)),
        "boxes": settled.counts,
        "boxes_proven": settled.proven,
        "seconds": round(time.monotonic() - start, 3),
        "settings": wanted.model_dump(mode="json"),
    }
    work.write_summary(STEP, summary)
    return summary


def measure_records(
    records: list[ImageRecord], max_megapixels: float
) -> Iterator[tuple[ImageRecord | None, list[Drop]]]:
    """:func:`measure_record` over all records, in order, in worker processes where that pays."""
    function = functools.partial(measure_record, max_megapixels=max_megapixels)
    for record, outcome in zip(records, engines.map_items(function, records, inline=INLINE), strict=True):
        failed = Drop(STEP, "open", "decoder crashed", record.image, outcome.error)
        yield outcome.value or (None, [failed])


def measure_record(record: ImageRecord, max_megapixels: float = 100) -> tuple[ImageRecord | None, list[Drop]]:
    """Open a record's pictures; returns the record with size and content hash, and what had to be left out.

    The first picture gives size and hash.
    """
    try:
        first = _open(record.paths[0], max_megapixels)
        for path in record.paths[1:]:
            _open(path, max_megapixels)
    except ImageError as error:
        return None, [Drop(STEP, "open", error.reason, record.image, f"{error.path}: {error.detail or error.reason}")]
    content = hash_rgb_pixels(first)
    return (
        replace(
            record,
            width=first.width,
            height=first.height,
            content=content,
            group=record.group or content,
        ),
        [],
    )


def _open(path: str, max_megapixels: float) -> Image:
    """A picture that the model's processor will take, too."""
    image = open_image(Path(path), max_megapixels)
    if max(image.size) > MOST_RATIO * min(image.size):
        detail = f"{image.width} x {image.height}; no Qwen-VL processor takes more than {MOST_RATIO}:1"
        raise ImageError("too long and narrow", Path(path), detail)
    return image
