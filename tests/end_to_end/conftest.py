"""The finished run these tests look at: ``MINDGPT_RUN=runs/quickstart pytest -m e2e``, or of ``quickstart_small``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def run() -> Path:
    """The run folder."""
    folder = Path(os.environ.get("MINDGPT_RUN", "runs/quickstart"))
    assert (folder / "manifest.json").is_file(), f"{folder} is no run: first `mindgpt run recipes/quickstart.yaml`"
    return folder


@pytest.fixture(scope="session")
def recipe(run: Path) -> str:
    """Name of its recipe: ``quickstart`` or ``quickstart_small``."""
    return str(json.loads((run / "manifest.json").read_text(encoding="utf-8"))["recipe"])


@pytest.fixture
def whole(recipe: str) -> None:
    """Skips what only the whole quickstart has learnt enough to show."""
    if recipe != "quickstart":
        pytest.skip(f"{recipe} has learnt too little to show it")


@pytest.fixture(scope="session")
def report(run: Path) -> dict[str, Any]:
    """Its report.json."""
    loaded: dict[str, Any] = json.loads((run / "report.json").read_text(encoding="utf-8"))
    return loaded
