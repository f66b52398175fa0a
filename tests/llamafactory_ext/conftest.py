from __future__ import annotations

from pathlib import Path

import lf_assets
import pytest


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with ``data`` and ``model``."""
    folder = tmp_path_factory.mktemp("world")
    lf_assets.write_data(folder / "data")
    lf_assets.write_model(folder / "model", folder / "data")
    return folder
