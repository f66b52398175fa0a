"""``stage.json`` and ``manifest.json`` that are damaged: named, once, and taken for absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from mindgpt_plugins.core import state
from mindgpt_plugins.core.files import FileError

WHOLE = '{"settings": {"kind": "toy"}, "image": {}, "seconds": 2.5, "of a later version": 1}'


def test_a_record_is_read_with_what_it_has_beyond_its_schema(tmp_path: Path) -> None:
    (tmp_path / "stage.json").write_text(WHOLE)
    found = state.recover_stage_record(tmp_path)
    assert found is not None and found.get("seconds") == 2.5 and found.get("of a later version") == 1
    assert state.recover_manifest(tmp_path) is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        (WHOLE[:50], "is not JSON in UTF-8"),
        ("[]", "is no record of a stage"),
        ("null", "is no record of a stage"),
        ('{"settings": [], "image": {}}', "is no record of a stage (settings: "),
        ('{"image": {}}', "is no record of a stage (settings: Field required)"),
        ('{"settings": {}, "image": {}, "seconds": "long"}', "(seconds: "),
    ],
)
def test_a_damaged_record_is_named_once(
    tmp_path: Path, content: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "stage.json"
    path.write_text(content)
    assert state.recover_stage_record(tmp_path) is state.recover_stage_record(tmp_path) is None
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and f"warning: {path} " in told and said in told
    with pytest.raises(FileError, match=r"stage\.json is"):
        state.read_stage_record(path)


def test_a_damaged_manifest_says_who_writes_it(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"recipe": "r", "stages": {}}')
    with pytest.raises(FileError, match=r"manifest\.json is no manifest .* writes it again \(stages: "):
        state.read_manifest(tmp_path)
