"""What the system refuses is one line: the path, the reason and what to do; the first cause comes first."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.core.files import write_text
from mindgpt_plugins.core.os_errors import describe_os_error, find_first_cause


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.ENOTDIR, errno.EISDIR, errno.EIO])
def test_path_reason_and_fix(number: int) -> None:
    said = describe_os_error(OSError(number, os.strerror(number), "/disk/a"))
    assert said.startswith(f"/disk/a: {os.strerror(number)}; ") and "\n" not in said


def test_real_ones(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError) as below:
        (tmp_path / "file" / "x").mkdir()
    assert describe_os_error(below.value).endswith("Not a directory; a part of the path is a file: move it away, or "
                                                   "choose another folder")  # fmt: skip
    with pytest.raises(OSError) as long:
        (tmp_path / ("x" * 300)).mkdir()
    assert len(describe_os_error(long.value)) < 250 and "shorten the name" in describe_os_error(long.value)
    with pytest.raises(OSError) as moved:
        os.rename(tmp_path / "gone", tmp_path / "there")
    assert f"{tmp_path}/gone → {tmp_path}/there: No such file" in describe_os_error(moved.value)
    assert describe_os_error(FileNotFoundError("no run 'x'")) == "no run 'x'"


def test_a_write_that_fails_says_where(tmp_path: Path) -> None:
    def full() -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError) as failed:
        write_text(tmp_path / "a.json", (full() for _ in range(1)))
    assert describe_os_error(failed.value).startswith(f"{tmp_path}/a.json: No space left on device; free some space")
    assert list(tmp_path.iterdir()) == []


def caught(first: Exception, then: Exception) -> BaseException:
    try:
        try:
            raise first
        finally:
            raise then
    except Exception as error:
        return find_first_cause(error)


def test_the_first_cause_is_not_hidden_by_cleaning_up() -> None:
    full = OSError(errno.ENOSPC, "full", "manifest.json")
    failed = StageError("the stage failed")
    assert caught(failed, full) is failed
    assert caught(OSError(errno.EIO, "first"), OSError(errno.EIO, "then")).strerror == "first"  # type: ignore[attr-defined]
    # Making what is not there is no clean-up, and an error of our own says more than what it was raised for.
    assert caught(FileNotFoundError(errno.ENOENT, "gone"), OSError(errno.EROFS, "fixed")).strerror == "fixed"  # type: ignore[attr-defined]
    ours = StageError("damaged")
    assert caught(OSError(errno.EIO, "io"), ours) is ours
