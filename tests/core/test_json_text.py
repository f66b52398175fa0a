"""JSON of others: too deep, too many digits and no JSON are all told with the file and the line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mindgpt_plugins.core.dataset_files import read_set_rows
from mindgpt_plugins.core.errors import InputError
from mindgpt_plugins.core.files import FileError, load_jsonl, read_json
from mindgpt_plugins.core.json_text import DEEPEST_JSON, parse_json_text

FITS = "[" * DEEPEST_JSON + "]" * DEEPEST_JSON
DEEP = f"[{FITS}]"


def test_nesting_has_a_limit() -> None:
    assert parse_json_text(FITS) == json.loads(FITS)
    assert parse_json_text("[" + "[]," * 300 + "{}]")  # wide is not deep
    for text in (DEEP, DEEP.encode(), '{"a":' * 101 + "1" + "}" * 101):
        with pytest.raises(InputError, match="more than 100 lists and objects inside each other"):
            parse_json_text(text)


@pytest.mark.parametrize("bad", [f'{{"a": {DEEP}}}', '{"a": ' + "1" * 5000 + "}", '{"a": '])
def test_a_line_is_named(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"a": 1}}\n{bad}\n')
    with pytest.raises(FileError, match=r"rows\.jsonl line 2: not JSON in UTF-8"):
        load_jsonl(path)
    path.write_text(bad)
    with pytest.raises(FileError, match=r"rows\.jsonl is not JSON in UTF-8"):
        read_json(path)


def test_a_row_of_a_set_is_named(tmp_path: Path) -> None:
    (tmp_path / "dataset_info.json").write_text('{"s": {"file_name": "s.json"}}')
    (tmp_path / "s.json").write_text(f'[{{"a": 1}}, {{"a": {DEEP}}}]')
    with pytest.raises(FileError, match=r"s\.json: row 1: more than 100 lists"):
        list(read_set_rows(tmp_path, "s"))
