"""A Hugging Face ``datasets`` folder: ``datasets.load_from_disk("<folder>/<set>.hf")`` gives rows with pictures."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mindgpt_data.schema.rows import SUB_SCORES, Row
from mindgpt_plugins.core.files import replace_folder


def write_hf_rows(rows: Sequence[Row], folder: Path, name: str) -> None:
    """Write ``<name>.hf/``: the fields of a row, and ``images`` decoded on access; pictures lie inside.

    Raises:
        ImportError: ``datasets`` is not installed.
    """
    from datasets import Dataset, Features, Image, Value, disable_progress_bars, enable_progress_bars
    from datasets.utils import are_progress_bars_disabled

    text, number, texts = Value("string"), Value("float64"), [Value("string")]
    features = Features(
        {
            **dict.fromkeys(("uid", "question", "answer", "response", "answer_type", "source", "capability"), text),
            **dict.fromkeys(("knowledge", "type", "twin_uid", "split", "boxes"), text),
            **dict.fromkeys(("ids", "difficulty"), number),
            "sub_scores": dict.fromkeys(SUB_SCORES, number),
            "image": texts,
            "video": texts,
            "images": [Image()],
        }
    )

    def records() -> Iterator[dict[str, Any]]:
        for row in rows:
            pictures = [{"bytes": (folder / image).read_bytes(), "path": None} for image in row.image]
            yield {key: value for key, value in row.to_json().items() if key in features} | {"images": pictures}

    quiet = are_progress_bars_disabled()
    disable_progress_bars()  # the step tells how far it is
    try:
        # Its own cache: generator caches are keyed by code, and must not outlive this call. Its name ends as those of
        # what killed writers leave aside, so that the next run removes it.
        with tempfile.TemporaryDirectory(dir=folder, prefix=f".{name}.", suffix=f".{os.getpid()}") as cache:
            made = Dataset.from_generator(records, features=features, cache_dir=cache)
            with replace_folder(folder / f"{name}.hf") as aside:
                made.save_to_disk(aside)
    finally:
        if not quiet:
            enable_progress_bars()
