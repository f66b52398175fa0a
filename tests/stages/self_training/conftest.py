"""Two datasets sets without a model; see ``scripted.py`` for the engine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from mindgpt_data.export import write_set

sys.path.insert(0, str(Path(__file__).parent))
from scripted import make_row  # noqa: E402


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """Sets ``general`` (20 rows) and ``domain`` (5 rows); every row has its own picture."""
    folder = tmp_path / "world"
    (folder / "images").mkdir(parents=True)
    rows = []
    for i in range(25):
        name = f"images/{i}.png"
        (folder / name).write_bytes(f"picture {i}".encode())
        capability = ("perception.colour", "perception.shape")[i % 2]
        rows.append(make_row(f"g{i}", [name], capability=capability))
    write_set(rows[:20], folder, "general")
    domain = [make_row(f"d{i}", r.image, source="domain", capability="domain.sign") for i, r in enumerate(rows[20:])]
    write_set(domain, folder, "domain")
    return folder
