"""The user's folder is made once and copied: a tokenizer of 150,000 words takes a moment."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import rehearse_assets

    folder = tmp_path_factory.mktemp("user")
    rehearse_assets.write(folder)
    return folder


@pytest.fixture
def user(whole: Path, tmp_path: Path) -> Path:
    """A fresh copy of the user's folder."""
    return Path(shutil.copytree(whole, tmp_path / "user"))


@pytest.fixture(autouse=True)
def registered_again() -> None:
    """The registry is cleaned after every test; what a rehearsal registers when imported must be imported again."""
    for module in ("rejection_sampling", "preference_pairs", "rl"):
        sys.modules.pop(f"mindgpt_plugins.stages.{module}.rehearsed", None)
