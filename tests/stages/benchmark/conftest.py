"""The tiny model and datasets folder of the evaluation tests, and every benchmark made of them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from benchmark_formats import FORMATS, items, write

_spec = importlib.util.spec_from_file_location("evaluate_fixtures", Path(__file__).parents[1] / "evaluate/conftest.py")
assert _spec is not None and _spec.loader is not None
_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)
tiny_model, datasets = _fixtures.tiny_model, _fixtures.datasets


@pytest.fixture
def benchmark_data(datasets: Path, tmp_path: Path) -> dict[str, str]:
    """Benchmark → folder in the format of the real one."""
    pytest.importorskip("datasets")
    rows = items(datasets, "dev")
    return {name: str(write(name, rows, tmp_path / "hub" / name)) for name in FORMATS}
