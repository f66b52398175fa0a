"""Tiny models of the families, built once a run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.families import BUILDERS, FAST, build_family  # noqa: E402

Build = Callable[[str], Path]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Ask for ``family`` to run for each: the fast ones always, all with ``-m families``."""
    if "family" in metafunc.fixturenames:
        every = [pytest.param(name, marks=() if name in FAST else pytest.mark.families) for name in BUILDERS]
        metafunc.parametrize("family", every)


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Builds a family's model, or finds the one built before."""
    folder = tmp_path_factory.mktemp("families")
    return lambda name: folder / name if (folder / name).exists() else build_family(name, folder)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Gradients: small, above the tests' limit of 9,216 pixels, and narrow."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, size in {"small": (80, 96), "large": (400, 300), "narrow": (20, 160)}.items():
        Image.linear_gradient("L").resize(size).convert("RGB").save(folder / f"{name}.png")
    return {path.stem: path for path in folder.iterdir()}
