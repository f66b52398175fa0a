"""A stage's settings cross its process boundary as the validated model they were."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError

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


class Inside(Strict):
    rate: float = 1.0


class Numbers(Strict):
    whole: int = 0
    maybe: float | None = None
    switch: bool | Literal["all"] = True
    either: int | bool = 0
    shares: dict[str, int] = {}
    pair: tuple[float, float] | None = None
    many: list[Annotated[int, Field(ge=1)]] = []
    inside: Inside | str = Inside()
    anything: dict[str, Any] = {}


@pytest.mark.parametrize("value", [{"whole": True}, {"maybe": False}, {"shares": {"a": True}}, {"pair": [1, True]},
                                   {"many": [1, True]}, {"inside": {"rate": True}}])  # fmt: skip
def test_true_is_no_number(value: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="must be a number, not true or false"):
        Numbers.model_validate(value)


@pytest.mark.parametrize("value", [{"whole": 1}, {"whole": "3"}, {"whole": 2.0}, {"switch": False}, {"either": True},
                                   {"anything": {"a": True}}, {"maybe": None}, {"many": [1, 2]}])  # fmt: skip
def test_what_is_meant_still_passes(value: dict[str, Any]) -> None:
    assert Numbers.model_validate(value)
    assert Numbers.model_validate({"either": True}).either is True


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("key", ["maybe", "pair"])
def test_numbers_are_finite(key: str, number: float) -> None:
    with pytest.raises(ValidationError, match="finite number"):
        Numbers.model_validate({key: number if key == "maybe" else [number, 1.0]})


def test_seeds_are_what_numpy_takes() -> None:
    assert Stage(kind="s", model="m", seed=2**32 - 1).seed == 2**32 - 1
    for seed in (-1, 2**32, True):
        with pytest.raises(ValidationError):
            Stage(kind="s", model="m", seed=seed)


def test_references_say_where_they_stand() -> None:
    class Nested(StageConfig):
        start: ModelRef
        others: list[ModelRef] = []

    config = Nested(kind="s", start="a", others=["b", "c"])
    assert list(config.located_references()) == [("start", "model", "a"), ("others.0", "model", "b"),
                                                 ("others.1", "model", "c")]  # fmt: skip
    assert list(config.references()) == [("model", "a"), ("model", "b"), ("model", "c")]
