"""What the command says when it refuses: one line, the text as it is, no traceback."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mindgpt_plugins import cli
from mindgpt_plugins.core.errors import StageError

ROOT = Path(__file__).parents[2]


def mindgpt(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["mindgpt", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.run_verb()
    return int(ended.value.code or 0), capsys.readouterr().err


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EEXIST]
)
def test_what_the_system_refuses_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse() -> None:
        raise OSError(number, os.strerror(number), "/d/a")

    monkeypatch.setattr(cli, "build_cli_app", lambda: refuse)
    code, said = mindgpt(capsys, monkeypatch, "run")
    assert code == 1 and said.startswith("error: /d/a: ") and said.count("\n") == 1 and "; " in said


def test_why_it_cleaned_up_comes_first(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        try:
            raise StageError("stage 'a' failed [bold]")
        finally:
            raise OSError(errno.ENOSPC, "No space left on device", "manifest.json")

    monkeypatch.setattr(cli, "build_cli_app", lambda: refuse)
    code, said = mindgpt(capsys, monkeypatch, "run")
    first, then = said.splitlines()
    assert code == 1 and first == "error: stage 'a' failed [bold]"
    assert then.startswith("error: and then, while that was handled: manifest.json: No space left")


def test_a_path_is_shown_as_it_is(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, said = mindgpt(capsys, monkeypatch, "validate", "a:x:b/[red]none.yaml")
    assert code == 2 and said.startswith("error: a:x:b/[red]none.yaml: no such recipe file")


def test_runs_below_a_file(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for verb in (["validate", "quickstart"], ["run", "quickstart", "--dry-run"]):
        code, said = mindgpt(capsys, monkeypatch, *verb, "--runs", str(tmp_path / "file" / "x"))
        assert code == 1 and f"{tmp_path}/file is no folder; choose another with --runs" in said


def test_consoles_are_made_in_one_place() -> None:
    """So that no message turns ``:x:`` into a sign."""
    found = subprocess.run(
        ["grep", "-rlE", r"\bConsole\(", "--include=*.py", "mindgpt_plugins", "data_tools/mindgpt_data"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.split() == ["mindgpt_plugins/core/console.py"]
