"""Opens a page in Debian's chromium: ``@chromium.needed`` and ``chromium.open_page(page, profile)``."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

needed = pytest.mark.skipif(
    shutil.which("chromium") is None, reason="needs Debian's chromium: apt-get install chromium"
)
_FLAGS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --enable-logging=stderr --virtual-time-budget=8000 --dump-dom"
)


def open_page(page: Path, profile: Path, anchor: str = "") -> str:
    """The document after its scripts have run; what they, or the page's policy, complain about is a failure.

    Args:
        page: the file.
        profile: an empty folder, so that nothing of another test or of a user's browser is there.
        anchor: what stands in the address after ``#``.
    """
    command = ["chromium", *_FLAGS.split(), f"--user-data-dir={profile}", f"{page.as_uri()}#{anchor}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    return done.stdout
