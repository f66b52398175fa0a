"""The finished quickstart run these tests look at: ``MINDGPT_RUN=runs/quickstart pytest -m e2e``."""

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
def report(run: Path) -> dict[str, Any]:
    """Its report.json."""
    loaded: dict[str, Any] = json.loads((run / "report.json").read_text(encoding="utf-8"))
    return loaded
