"""A stage's settings cross its process boundary as the validated model they were."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from mindgpt_plugins.core.files import FileError
from mindgpt_plugins.core.schema import ModelRef, StageConfig, Strict, read_model, resolve_config, write_model


class Stage(StageConfig):
    model: ModelRef
    rows: int = 3
    only_here: str = "x"


class Job(Strict):
    model: Path
    rows: int
    found: float


def test_shared_fields_are_taken_over_and_references_replaced(tmp_path: Path) -> None:
    job = resolve_config(Stage(kind="s", model="base"), Job, model="/models/base", found=0.1)
    assert job == Job(model=Path("/models/base"), rows=3, found=0.1)
    write_model(tmp_path / "job.json", job)
    assert read_model(tmp_path / "job.json", Job) == job


def test_a_field_that_nobody_fills_is_an_error() -> None:
    with pytest.raises(ValidationError, match="found"):
        resolve_config(Stage(kind="s", model="base"), Job, model="/models/base")


@pytest.mark.parametrize("text", ['{"model": "/m"}', "{", '{"model": "/m", "rows": 1, "found": 0, "gone": 1}'])
def test_a_file_of_another_release_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "job.json").write_text(text)
    with pytest.raises(FileError, match=r"job\.json is no Job: "):
        read_model(tmp_path / "job.json", Job)
