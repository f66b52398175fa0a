"""Files between processes: replaced in one move, JSON lines by one rule."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mindgpt_plugins.core.files import (
    FileError,
    cut_torn_line,
    load_jsonl,
    read_json,
    read_json_lines,
    read_jsonl,
    replace_file,
    replace_folder,
    replace_link,
    write_bytes,
    write_json,
    write_jsonl,
    write_text,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(records=st.lists(st.dictionaries(st.text(), VALUES, max_size=4), max_size=4))
def test_what_is_written_is_read(tmp_path, records):
    path = tmp_path / "rows.jsonl"
    assert write_jsonl(path, records) == len(records)
    assert load_jsonl(path) == records == load_jsonl(path, torn="drop")


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c", "\r"])
def test_lines_end_at_a_newline_only(tmp_path, separator):
    path = tmp_path / "rows.jsonl"
    line = json.dumps({"text": f"a{separator}b"}, ensure_ascii=False) if ord(separator) > 0x7F else None
    path.write_text((line or json.dumps({"text": f"a{separator}b"})) + "\r\n" + '{"text": "c"}\n', encoding="utf-8")
    assert [row["text"] for _, row in read_jsonl(path)] == [f"a{separator}b", "c"]


def test_byte_order_mark_and_blank_lines_are_skipped(tmp_path):
    (tmp_path / "rows.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"a": 2}\n\n')
    (tmp_path / "one.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert [row["a"] for row in load_jsonl(tmp_path / "rows.jsonl")] == [1, 2]
    assert read_json(tmp_path / "one.json") == {"a": 1}


@pytest.mark.parametrize("tail", ['{"a": 2', '{"a": 2}', '{"a": "\xe4"'])
def test_a_last_line_without_its_newline(tmp_path, tail):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"a": 1}\n' + tail.encode("utf-8")[:-1] + tail.encode("utf-8")[-1:])
    assert load_jsonl(path, torn="drop") == [{"a": 1}]
    if tail.endswith("}"):
        assert load_jsonl(path) == [{"a": 1}, {"a": 2}]
    else:
        with pytest.raises(FileError, match=r"log\.jsonl line 2: not JSON in UTF-8"):
            load_jsonl(path)
    cut_torn_line(path)
    assert path.read_bytes() == b'{"a": 1}\n'


def test_a_torn_line_longer_than_a_block_is_cut(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"[1]\n" + b"x" * 200_000)
    cut_torn_line(path)
    assert path.read_bytes() == b"[1]\n"
    path.write_bytes(b"x" * 200_000)
    cut_torn_line(path)
    assert path.read_bytes() == b""
    cut_torn_line(tmp_path / "none.jsonl")


def test_a_malformed_line_is_named_under_either_rule(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"a": 1}\nnope\n{"a": 2}\n')
    for rule in ("error", "drop"):
        with pytest.raises(FileError, match=r"log\.jsonl line 2: not JSON"):
            load_jsonl(path, torn=rule)
    path.write_text("[1]\n")
    assert list(read_json_lines(path)) == [(f"{path} line 1", [1])]
    with pytest.raises(FileError, match="line 1: must be a JSON object, got list"):
        load_jsonl(path)
    with pytest.raises(FileError, match="does not exist; run `mindgpt data images` first"):
        list(read_jsonl(tmp_path / "none.jsonl", "images"))


def test_read_json_names_the_file(tmp_path):
    (tmp_path / "bad.json").write_text('{"a": ')
    with pytest.raises(FileError, match=r"bad\.json is not JSON in UTF-8"):
        read_json(tmp_path / "bad.json")
    with pytest.raises(FileNotFoundError, match=r"none\.json"):
        read_json(tmp_path / "none.json")


def test_a_failed_write_leaves_the_old_file_and_nothing_beside(tmp_path):
    path = tmp_path / "deep" / "file.json"
    write_json(path, {"é": 1})
    assert path.read_text(encoding="utf-8") == '{\n "é": 1\n}\n'
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})

    def broken():
        yield {"a": 1}
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        write_jsonl(path, broken())
    assert read_json(path) == {"é": 1}
    assert os.listdir(path.parent) == ["file.json"]
    write_text(path, iter(["a", "b"]))
    assert path.read_bytes() == b"ab"
    write_bytes(path, b"\x00")
    assert path.read_bytes() == b"\x00"


def test_a_folder_is_replaced_whole(tmp_path):
    target = tmp_path / "model"
    with replace_folder(target) as aside:
        (aside / "old").write_text("1")
        assert not target.exists()
    with pytest.raises(RuntimeError), replace_folder(target) as aside:
        raise RuntimeError("stop")
    assert os.listdir(target) == ["old"]
    with replace_folder(target) as aside:
        (aside / "new").write_text("2")
    assert os.listdir(target) == ["new"]
    assert os.listdir(tmp_path) == ["model"]


def test_a_killed_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    code = (
        "import os, signal, sys; from pathlib import Path; from mindgpt_plugins.core.files import replace_file\n"
        "with replace_file(Path(sys.argv[1])) as aside:\n"
        "    aside.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert path.read_text() == "old"
    assert len(os.listdir(tmp_path)) == 2
    subprocess.run([sys.executable, "-c", code.replace("[1])", "[1]), alone=True"), str(path)], check=False)
    with replace_file(path, alone=True) as aside:
        assert aside.read_text() == "half"  # what a killed process left is written over
        aside.write_text("whole")
    assert len(os.listdir(tmp_path)) == 2 and path.read_text() == "whole"
    with replace_file(path, sync=False) as aside:
        aside.write_text("new")
    assert path.read_text() == "new"


def test_a_link_is_replaced_by_many_at_once(tmp_path):
    (tmp_path / ".latest.999999").symlink_to("what a killed one left")
    (tmp_path / ".latest.1").symlink_to("another one is writing this")
    link = tmp_path / "latest"
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from mindgpt_plugins.core.files import replace_link\n"
        "for _ in range(300): replace_link(Path(sys.argv[1]), sys.argv[2])\n"
    )
    several = [subprocess.Popen([sys.executable, "-c", script, str(link), f"run-{n}"]) for n in range(3)]
    assert [one.wait() for one in several] == [0, 0, 0]
    replace_link(link, "run-last")
    assert os.readlink(link) == "run-last"
    assert sorted(os.listdir(tmp_path)) == [".latest.1", "latest"]
