"""Stamps follow contents, open files only where size or a time is another, and never believe too much."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mindgpt_plugins.core import stamps
from mindgpt_plugins.core.stamps import ReadFiles, StampMemory


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A list and three pictures, all of them old enough to be remembered."""
    for name in ("list", "a", "b", "c"):
        (tmp_path / name).write_text(f"content of {name}")
    return tmp_path


@pytest.fixture(autouse=True)
def _everything_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamps, "FRESH", -1)


def read(folder: Path, *names: str) -> ReadFiles:
    return ReadFiles(folder, {"list": folder / "list"}, lambda: names or ("a", "b", "c"))


def make(folder: Path, *names: str) -> stamps.Stamp:
    memory = StampMemory(folder / "memory")
    found = memory.stamp(read(folder, *names))
    memory.save()
    return found


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files that were opened to be digested."""
    found: list[str] = []
    real = stamps._digest_file
    monkeypatch.setattr(stamps, "_digest_file", lambda path: found.append(Path(path).name) or real(path))
    return found


def test_a_second_look_opens_nothing_and_lists_nothing(folder: Path, opened: list[str]) -> None:
    first = make(folder)
    assert sorted(opened) == ["a", "b", "c", "list"]
    opened.clear()
    # Other names would be listed now, if anybody asked.
    assert make(folder, "never", "asked").digest == first.digest
    assert opened == []


def test_a_changed_file_is_another_and_only_it_is_opened(folder: Path, opened: list[str]) -> None:
    first = make(folder)
    opened.clear()
    (folder / "b").write_text("CONTENT of b")
    second = make(folder)
    assert opened == ["b"]
    assert second.digest != first.digest
    assert {name for name, _ in {*first.media.items()} ^ {*second.media.items()}} == {"b"}


@pytest.mark.parametrize("remembered", [True, False])
def test_touched_or_copied_is_the_same(folder: Path, remembered: bool) -> None:
    first = make(folder)
    if not remembered:
        next((folder / "memory").iterdir()).unlink()
    os.utime(folder / "list")
    os.utime(folder / "a", (5, 5))
    (folder / "b").rename(folder / "other")
    (folder / "b").write_text("content of b")
    assert make(folder).digest == first.digest


def test_other_content_behind_the_old_size_and_time_is_seen(folder: Path) -> None:
    first, stat = make(folder), (folder / "a").stat()
    (folder / "a").write_text("CONTENT of a")
    os.utime(folder / "a", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert make(folder).digest != first.digest


def test_what_changed_a_moment_ago_is_opened_again(
    folder: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stamps, "FRESH", 10**15)
    make(folder)
    make(folder)
    assert opened.count("a") == 2


def test_a_list_that_changed_is_asked_again(folder: Path) -> None:
    first = make(folder)
    (folder / "list").write_text("without c")
    second = make(folder, "a", "b")
    assert set(first.media) - set(second.media) == {"c"}


def test_a_missing_picture_is_looked_for_again(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "d").write_text("content")
    assert make(folder, "d").media == {"d": "missing"}
    assert list(make(folder, "sub/d").media) == ["sub/d"]


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"version": 0}', '{"version": 1, "lists": 3}', '{"version": 1, "lists": {"a": [1]}}']
)
def test_a_memory_that_cannot_be_read_is_none(folder: Path, opened: list[str], damage: str) -> None:
    first = make(folder)
    next((folder / "memory").iterdir()).write_text(damage)
    opened.clear()
    assert make(folder).digest == first.digest
    assert sorted(opened) == ["a", "b", "c", "list"]


def test_names_may_be_anything(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "folder").mkdir()
    names = ["a\0b", "x" * 5000, "\ud800", "ü", "folder", "pipe", str(folder / "a"), "a"]
    media = make(folder, *names).media
    assert [media[name] for name in names[:4]] == ["missing"] * 4
    assert media["folder"] == media["pipe"] == "no file"
    assert media[str(folder / "a")] == media["a"]
    assert make(folder, *names).media == media


def test_large_media_and_weights_go_by_size_and_time_but_no_list(
    folder: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stamps, "LARGE", 5)
    first = make(folder)
    assert opened == ["list"]
    os.utime(folder / "list", (5, 5))
    assert make(folder).digest == first.digest
    os.utime(folder / "a", (5, 5))
    assert make(folder).digest != first.digest
    weights = ReadFiles(folder, {"list": folder / "list"}, weights=True)
    opened.clear()
    StampMemory(folder / "memory").stamp(weights)
    assert opened == []


def test_a_memory_that_cannot_be_written_is_none(folder: Path) -> None:
    (folder / "memory").write_text("a file")
    assert make(folder).digest == make(folder).digest


def test_a_list_that_cannot_be_understood_has_no_media(folder: Path) -> None:
    def broken() -> list[str]:
        raise ValueError("row 3 is no object")

    found = StampMemory(folder / "memory").stamp(ReadFiles(folder, {"list": folder / "list"}, broken))
    assert found.media == {} and set(found.lists) == {"list"}
