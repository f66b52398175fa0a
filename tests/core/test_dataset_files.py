"""Sets of a datasets folder are read as LLaMA-Factory reads them: the same rows, whatever the files are called."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from mindgpt_plugins.core import dataset_files
from mindgpt_plugins.core.dataset_files import DatasetError, read_set_info, read_set_rows

ROWS = [
    {"uid": f"u{i}", "messages": [{"role": "user", "content": "q\u2028é"}], "images": ["a.png"], "difficulty": i / 4}
    for i in range(5)
]


def arrow(path: Path, opener: Any) -> None:
    table = pa.Table.from_pylist(ROWS)
    with pa.OSFile(str(path), "wb") as sink, opener(sink, table.schema) as writer:
        writer.write_table(table)


def lines(rows: list[dict[str, Any]], gap: str = "") -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" + gap for row in rows)


def write_kind(kind: str, folder: Path) -> str:
    """Write ROWS as one kind of file and return its name for ``dataset_info.json``."""
    text = {
        "array.json": json.dumps(ROWS, indent=1),
        "array.jsonl": json.dumps(ROWS),
        "lines.jsonl": lines(ROWS),
        "lines.json": lines(ROWS),
        "blank.jsonl": lines(ROWS, " \n"),
        "crlf.jsonl": lines(ROWS).replace("\n", "\r\n"),
        "no_end.jsonl": lines(ROWS).rstrip("\n"),
    }
    if kind in text:
        (folder / kind).write_bytes(text[kind].encode("utf-8"))
    elif kind == "table.parquet":
        parquet.write_table(pa.Table.from_pylist(ROWS), folder / kind, row_group_size=2)
    elif kind == "stream.arrow":
        arrow(folder / kind, pa.ipc.new_stream)
    elif kind == "file.arrow":
        arrow(folder / kind, pa.ipc.new_file)
    else:
        (folder / kind).mkdir()
        (folder / kind / "1.json").write_text(json.dumps(ROWS[:2]))
        (folder / kind / "2.jsonl").write_text(lines(ROWS[2:]))
    return kind


KINDS = [
    *("array.json", "array.jsonl", "lines.jsonl", "lines.json", "blank.jsonl", "crlf.jsonl", "no_end.jsonl"),
    *("table.parquet", "stream.arrow", "file.arrow", "parts"),
]


def listed(folder: Path, file: str, **entry: Any) -> None:
    (folder / "dataset_info.json").write_text(json.dumps({"set": {"file_name": file, **entry}}))


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_rows_as_the_hosts_library_loads(tmp_path, kind):
    datasets = pytest.importorskip("datasets")
    listed(tmp_path, write_kind(kind, tmp_path))
    found = list(read_set_rows(tmp_path, "set"))
    assert [row.number for row in found] == [0, 1, 2, 3, 4]
    files = read_set_info(tmp_path, "set").files
    assert {row.file for row in found} == set(files)
    # As the host calls it (llamafactory/data/loader.py), the parts in the order of os.listdir.
    path = tmp_path / kind
    data_files = [str(path / name) for name in os.listdir(path)] if path.is_dir() else [str(path)]
    loaded = datasets.load_dataset(
        read_set_info(tmp_path, "set").kind, data_files=data_files, split="train", cache_dir=str(tmp_path / "cache")
    )
    assert [row.data for row in found] == loaded.to_list()
    assert sorted((row.data for row in found), key=lambda row: row["uid"]) == ROWS


def test_csv_and_text_are_read_as_the_hosts_library_does(tmp_path):
    datasets = pytest.importorskip("datasets")
    (tmp_path / "set.csv").write_text('instruction,output,n\n"a, b",x,1\nc,,2\n')
    (tmp_path / "set.txt").write_text("one\n\ntwo\n")
    for file, kind in (("set.csv", "csv"), ("set.txt", "text")):
        listed(tmp_path, file)
        loaded = datasets.load_dataset(
            kind, data_files=[str(tmp_path / file)], split="train", cache_dir=str(tmp_path / "cache")
        )
        assert [row.data for row in read_set_rows(tmp_path, "set")] == loaded.to_list()


def test_byte_order_marks_are_skipped_where_the_host_skips_them(tmp_path):
    (tmp_path / "dataset_info.json").write_bytes(b'\xef\xbb\xbf{"set": {"file_name": "set.json"}}')
    (tmp_path / "set.json").write_bytes(b"\xef\xbb\xbf" + lines(ROWS).encode())
    assert [row.data for row in read_set_rows(tmp_path, "set")] == ROWS


def test_an_array_behind_a_byte_order_mark_is_refused_since_the_host_fails_on_it(tmp_path):
    datasets = pytest.importorskip("datasets")
    listed(tmp_path, "set.json")
    (tmp_path / "set.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(ROWS).encode())
    with pytest.raises(DatasetError, match="begins with a byte-order mark.*save it as UTF-8 without one"):
        list(read_set_rows(tmp_path, "set"))
    with pytest.raises(datasets.exceptions.DatasetGenerationError):
        datasets.load_dataset("json", data_files=[str(tmp_path / "set.json")], cache_dir=str(tmp_path / "cache"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    rows=st.lists(st.dictionaries(st.text(max_size=5), st.text() | st.floats(allow_nan=False) | st.none()), max_size=5),
    block=st.integers(1, 40),
    indent=st.sampled_from([None, 1]),
    plain=st.booleans(),
)
def test_an_array_is_read_across_blocks(tmp_path, rows, block, indent, plain):
    path = tmp_path / "set.json"
    path.write_text(" \n" + json.dumps(rows, indent=indent, ensure_ascii=plain) + "\n ", encoding="utf-8")
    before, dataset_files._BLOCK = dataset_files._BLOCK, block
    try:
        assert list(dataset_files.read_rows(path)) == rows
    finally:
        dataset_files._BLOCK = before


def test_rows_are_not_kept(tmp_path):
    import tracemalloc

    path = tmp_path / "set.json"
    with path.open("w") as file:
        file.write("[" + ",\n".join(json.dumps({"text": "x" * 1000}) for _ in range(20_000)) + "]")
    tracemalloc.start()
    assert sum(1 for _ in dataset_files.read_rows(path)) == 20_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < path.stat().st_size / 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[{", r"set 'set': .*set\.json is not valid JSON: .*row 0"),
        ('[{"a": 1}', "ends in the middle of the array, after 1 rows"),
        ('[{"a": 1} {"a": 2}]', "',' or ']' is missing after row 0, character 10"),
        ('[{"a": 1},]', "row 1, character 10"),
        ('[{"a": 1}] x', "text after the array"),
        ("[1]", "row 0 must be a JSON object, got int"),
        ('{"a": 1}\n{"a": ', "line 2: not JSON"),
        ('{"a": 1}\n[1]', "line 2: must be a JSON object, got list"),
    ],
)
def test_a_malformed_file_is_named_with_the_place(tmp_path, text, message):
    (tmp_path / "set.json").write_text(text)
    listed(tmp_path, "set.json")
    with pytest.raises(DatasetError, match=message):
        list(read_set_rows(tmp_path, "set"))


def test_files_that_the_host_does_not_load_are_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"has no dataset_info\.json"):
        read_set_info(tmp_path, "set")
    listed(tmp_path, "set.yaml")
    with pytest.raises(DatasetError, match="lists no set 'sett'; it has: set; did you mean 'set'?"):
        read_set_info(tmp_path, "sett")
    with pytest.raises(DatasetError, match=r"set\.yaml does not exist"):
        list(read_set_rows(tmp_path, "set"))
    (tmp_path / "set.yaml").write_text("[]")
    with pytest.raises(DatasetError, match=r"set\.yaml is not read by LLaMA-Factory; .*\.json, \.jsonl, \.parquet"):
        list(read_set_rows(tmp_path, "set"))
    for name in ("1.json", "2.csv"):
        (tmp_path / "parts").mkdir(exist_ok=True)
        (tmp_path / "parts" / name).write_text("[]")
    listed(tmp_path, "parts")
    with pytest.raises(DatasetError, match="several kinds: csv, json"):
        list(read_set_rows(tmp_path, "set"))
    (tmp_path / "dataset_info.json").write_text('{"set": {"hf_hub_url": "org/set"}}')
    with pytest.raises(DatasetError, match=r"comes from elsewhere \(hf_hub_url\)"):
        list(read_set_rows(tmp_path, "set"))
    (tmp_path / "bad.parquet").write_text("PAR")
    listed(tmp_path, "bad.parquet")
    with pytest.raises(DatasetError, match="is no readable parquet file"):
        list(read_set_rows(tmp_path, "set"))


def test_columns_are_named_as_the_host_names_them(tmp_path):
    llamafactory = pytest.importorskip("llamafactory.data.parser")
    entries = [
        {},
        {"columns": {"messages": "talk", "images": "image"}, "formatting": "sharegpt"},
        {"columns": {"prompt": "q"}},
    ]
    for entry in entries:
        listed(tmp_path, "set.json", **entry)
        info = read_set_info(tmp_path, "set")
        (host,) = llamafactory.get_dataset_list(["set"], str(tmp_path))
        for key in ("messages", "images", "videos", "prompt", "query", "response", "history", "system", "chosen"):
            assert info.column(key) == getattr(host, key), (entry, key)
        assert info.formatting == host.formatting


def test_one_picture_is_a_list_of_one(tmp_path):
    listed(tmp_path, "set.json", columns={"messages": "conversations", "images": "image"})
    info = read_set_info(tmp_path, "set")
    assert info.media({"image": "images/a.png"}) == ["images/a.png"]
    assert info.media({"image": ["a.png", "b.png"]}) == ["a.png", "b.png"]
    assert info.media({"image": {"bytes": b"x", "path": None}}) == [{"bytes": b"x", "path": None}]
    assert info.media({"image": None}) == info.media({}) == info.media({"image": []}) == []
    listed(tmp_path, "set.json")
    assert read_set_info(tmp_path, "set").media({"images": ["a.png"]}) == []  # the host does not read it either
