"""What a finished stage left, recorded file by file: which damage is seen at a look, and which when all is read."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mindgpt_plugins.core import artefacts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished stage with a model folder and a file."""
    (tmp_path / "model/tokenizer").mkdir(parents=True)
    (tmp_path / "model/weights").write_bytes(bytes(range(200)))
    (tmp_path / "model/tokenizer/words.txt").write_text("a b c")
    (tmp_path / "scores.json").write_text("{}")
    artefacts.record_artefacts(tmp_path, {"model": str(tmp_path / "model"), "scores": str(tmp_path / "scores.json")})
    return tmp_path


def overwrite(path: Path, at: int = 150) -> None:
    """Change one byte."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"\xff")


def keep_time(path: Path, change: Callable[[], None]) -> None:
    """Change a file as a failing disk does: its time stays."""
    stat = path.stat()
    change()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_what_is_whole_has_no_damage(folder: Path) -> None:
    record = json.loads((folder / artefacts.DONE).read_text())["artefacts"]
    assert set(record["model"]["files"]) == {"weights", "tokenizer/words.txt"} and record["model"]["path"] == "model"
    assert record["scores"]["files"][""]["size"] == 2
    (folder / "model/a_later_cache").write_text("of a host")
    os.utime(folder / "model/weights")
    assert artefacts.find_damage(folder) is artefacts.verify_artefacts(folder) is None


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            lambda f: os.truncate(f / "model/weights", 12),
            "is damaged: {f}/model/weights has 12 bytes instead of 200",
        ),
        (lambda f: (f / "model/weights").unlink(), "'model' is damaged: {f}/model/weights is missing"),
        (lambda f: overwrite(f / "model/weights"), "{f}/model/weights has other content than when the stage ended"),
        (lambda f: (f / "scores.json").unlink(), "'scores' is damaged: {f}/scores.json is missing"),
        (lambda f: (f / "model/tokenizer/words.txt").write_text("abcde"), "{f}/model/tokenizer/words.txt has other"),
    ],
)
def test_damage_is_named_with_its_path(folder: Path, damage: Callable[[Path], object], said: str) -> None:
    damage(folder)
    assert said.format(f=folder) in str(artefacts.find_damage(folder))


def test_all_damaged_files_are_counted(folder: Path) -> None:
    for path in ("model/weights", "model/tokenizer/words.txt", "scores.json"):
        os.truncate(folder / path, 0)
    assert str(artefacts.find_damage(folder)).endswith("and 2 more files")


def test_a_byte_that_changed_by_itself_is_found_when_all_is_read(folder: Path) -> None:
    path = folder / "model/weights"
    keep_time(path, lambda: overwrite(path))
    assert artefacts.find_damage(folder) is None
    assert "has other content" in str(artefacts.verify_artefacts(folder))


def test_large_files_get_their_digest_when_they_are_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artefacts, "DIGESTED", 100)
    monkeypatch.setattr(artefacts, "HEAD", 50)
    path = tmp_path / "weights"
    path.write_bytes(bytes(200))
    artefacts.record_artefacts(tmp_path, {"model": str(path)})

    def written() -> dict[str, object]:
        record = json.loads((tmp_path / artefacts.DONE).read_text())
        found: dict[str, object] = record["artefacts"]["model"]["files"][""]
        return found

    assert "sha256" not in written()
    overwrite(path, at=10)
    assert "has other content" in str(artefacts.find_damage(tmp_path))  # the header
    path.write_bytes(bytes(200))
    assert artefacts.verify_artefacts(tmp_path) is None and "sha256" in written()
    overwrite(path)
    assert "has other content" in str(artefacts.find_damage(tmp_path))


@pytest.mark.parametrize(
    "content", ["", '{"artefacts": {"pa', "[]", "{}", '{"artefacts": {"model": "model"}}', "\x00\x00"]
)
def test_a_record_that_cannot_be_read_is_named_and_counts_as_none(
    folder: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / artefacts.DONE).write_text(content)
    assert artefacts.recover_artefacts(folder) is None and artefacts.find_damage(folder) is None
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and f"warning: {folder / artefacts.DONE} is " in told and "unfinished" in told
