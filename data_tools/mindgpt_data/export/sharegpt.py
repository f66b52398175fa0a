"""LLaMA-Factory's sharegpt files: one ``<image>`` tag per picture, labels as top-level columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mindgpt_data.export.layout import LABELS, update_dataset_info
from mindgpt_data.schema.rows import Pair, Row
from mindgpt_plugins.core.files import dump_json_line, write_text

TAGS = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}


def write_sharegpt_rows(rows: Sequence[Row], folder: Path, name: str) -> None:
    """Write ``<name>.json`` and list it; rows without a reply (prompts for RL) are left out."""
    taught = [row for row in rows if row.response]
    media = _media(taught)
    write_text(
        folder / f"{name}.json", _array({**_messages(row), **_media_of(row, media), **_labels(row)} for row in taught)
    )
    columns = {"messages": "messages", **{key: key for key in media}}
    entry = {"file_name": f"{name}.json", "formatting": "sharegpt", "columns": columns, "tags": TAGS}
    update_dataset_info(folder, name, entry)


def write_sharegpt_pairs(pairs: Sequence[Pair], folder: Path, name: str) -> None:
    """Write ``<name>.json`` for preference training and list it as a ranking set."""
    media = _media([pair.row for pair in pairs])
    records = (
        {
            "conversations": [{"role": "user", "content": pair.row.prompt}],
            "chosen": {"role": "assistant", "content": pair.chosen},
            "rejected": {"role": "assistant", "content": pair.rejected},
            **_media_of(pair.row, media),
            "pair_kind": pair.pair_kind,
            **_labels(pair.row),
        }
        for pair in pairs
    )
    write_text(folder / f"{name}.json", _array(records))
    columns = {"messages": "conversations", "chosen": "chosen", "rejected": "rejected", **{key: key for key in media}}
    entry = {"file_name": f"{name}.json", "formatting": "sharegpt", "ranking": True, "columns": columns, "tags": TAGS}
    update_dataset_info(folder, name, entry)


def _messages(row: Row) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": row.prompt}, {"role": "assistant", "content": row.response}]}


def _labels(row: Row) -> dict[str, Any]:
    return {key: getattr(row, key) for key in LABELS}


def _media(rows: Sequence[Row]) -> tuple[str, ...]:
    """Columns the set has: videos only where there are some."""
    return ("images", "videos") if any(row.video for row in rows) else ("images",)


def _media_of(row: Row, media: tuple[str, ...]) -> dict[str, list[str]]:
    return {"images": row.image, **({"videos": row.video} if "videos" in media else {})}


def _array(records: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield "[\n"
    for i, record in enumerate(records):
        yield (",\n" if i else "") + dump_json_line(record)
    yield "\n]\n"
