"""verl's parquet: pictures as bytes, the gold answer in ``reward_model``, everything else in ``extra_info``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mindgpt_data.export.layout import LABELS
from mindgpt_data.schema.rows import Row
from mindgpt_plugins.core.files import replace_file

GROUP = 256
"""Rows per row group: so many pictures are in memory at once."""


def write_verl_rows(rows: Sequence[Row], folder: Path, name: str) -> None:
    """Write ``<name>.parquet``. ``extra_info`` is the same in every set, so that verl can concatenate them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema(any(row.video for row in rows))
    path = folder / f"{name}.parquet"
    with replace_file(path) as aside, pq.ParquetWriter(aside, schema) as writer:
        for start in range(0, len(rows), GROUP):
            records = [_record(row, folder, start + i, schema) for i, row in enumerate(rows[start : start + GROUP])]
            writer.write_table(pa.Table.from_pylist(records, schema=schema))


def _schema(videos: bool) -> Any:
    import pyarrow as pa

    text, number = pa.string(), pa.float64()
    labels = {name: number if name in ("ids", "difficulty") else text for name in LABELS}
    extra = [
        ("index", pa.int64()),
        ("answer_type", text),
        *labels.items(),
        ("image", pa.list_(text)),
        ("video", pa.list_(text)),
        ("question", text),
        ("boxes", text),
    ]
    fields = [
        ("data_source", text),
        ("prompt", pa.list_(pa.struct([("role", text), ("content", text)]))),
        ("images", pa.list_(pa.struct([("bytes", pa.binary())]))),
        ("ability", text),
        ("reward_model", pa.struct([("style", text), ("ground_truth", text)])),
        ("extra_info", pa.struct(extra)),
    ]
    if videos:
        fields.insert(3, ("videos", pa.list_(pa.struct([("video", text)]))))
    return pa.schema(fields)


def _record(row: Row, folder: Path, index: int, schema: Any) -> dict[str, Any]:
    extra = {f.name: getattr(row, f.name) for f in schema.field("extra_info").type if f.name != "index"}
    record: dict[str, Any] = {
        "data_source": row.source,
        "prompt": [{"role": "user", "content": row.prompt}],
        "images": [{"bytes": (folder / image).read_bytes()} for image in row.image],
        "ability": row.capability,
        "reward_model": {"style": "rule", "ground_truth": row.answer},
        "extra_info": {"index": index, **extra},
    }
    return record if "videos" not in schema.names else {**record, "videos": [{"video": v} for v in row.video]}
