"""Mutated recipes: no traceback, no hang, and ``validate`` says what ``run --dry-run`` says."""

from __future__ import annotations

from pathlib import Path

import pytest
from mutated_recipes import load_shipped_texts, mutate_recipe, try_recipes

FEW = 20
MANY = 2000


def judge(numbers: range, folder: Path, *, ask: bool) -> None:
    outcomes = try_recipes(numbers, folder, ask=ask)
    assert [(one.number, one.changes, one.crash) for one in outcomes if one.crash] == []
    apart = [one for one in outcomes if (one.validate == 0) != (one.dry_run == 0)]
    assert [(one.number, one.changes, one.said) for one in apart] == []
    silent = [one for one in outcomes if one.validate != 0 and "error: " not in one.said]
    assert [(one.number, one.changes, one.said) for one in silent] == []


def test_a_few(tmp_path: Path) -> None:
    judge(range(FEW), tmp_path, ask=False)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_many(tmp_path: Path) -> None:
    judge(range(MANY), tmp_path, ask=True)


def test_a_number_always_gives_the_same_recipe() -> None:
    texts = load_shipped_texts()
    made = [mutate_recipe(number, texts) for number in range(200)]
    assert made == [mutate_recipe(number, texts) for number in range(200)]
    assert len({text for _, text, _ in made}) > 190 and all(changes for *_, changes in made)
