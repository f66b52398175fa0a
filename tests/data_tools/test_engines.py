"""Per-item work: order, errors, dead workers; the same under Ray (slow)."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from mindgpt_data import engines

from mindgpt_plugins.registry import load_plugins


def halve(number: int) -> float:
    if number == 3:
        raise ValueError("three is odd")
    if number == 5:
        os._exit(1)
    return number / 2


def thirds(number: int) -> float:
    if number % 7 == 3:
        raise ValueError(f"{number} will not do")
    return number / 3


@pytest.fixture(params=["1", "2"])
def workers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MINDGPT_DATA_WORKERS", request.param)
    return str(request.param)


def test_outcomes_come_in_order_and_an_error_costs_one_item(workers: str) -> None:
    outcomes = list(engines.map_items(thirds, range(40)))
    assert [o.value for o in outcomes] == [None if n % 7 == 3 else n / 3 for n in range(40)]
    assert outcomes[3].error == "ValueError: 3 will not do"


def test_an_item_that_kills_its_worker_costs_one_item(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINDGPT_DATA_WORKERS", "2")
    outcomes = list(engines.map_items(halve, range(12)))
    assert [o.value for o in outcomes] == [None if n in (3, 5) else n / 2 for n in range(12)]
    assert "worker process died" in outcomes[5].error


def test_items_are_pulled_as_they_are_needed(workers: str) -> None:
    pulled = []

    def items() -> Iterator[int]:
        for number in range(1000):
            pulled.append(number)
            yield number * 7

    stream = engines.map_items(thirds, items())
    next(stream)
    assert len(pulled) < 20
    stream.close()  # type: ignore[attr-defined]


def test_unknown_engine_is_refused() -> None:
    with pytest.raises(ValueError, match="no engine 'spark'; the engines are: local, ray"), engines.use("spark"):
        pass


@pytest.mark.slow
def test_ray_gives_what_local_gives_also_from_a_plugin_file(tmp_path: Path) -> None:
    ray = pytest.importorskip("ray")
    own = tmp_path / "own.py"
    own.write_text("def tenth(number):\n    assert number != 13, 'thirteen'\n    return number / 10\n")
    (module,) = load_plugins([str(own)])
    with engines.use("local", plugins=[str(own)]):
        local = list(engines.map_items(module.tenth, range(40)))
    assert local[13].error == "AssertionError: thirteen"
    try:
        with engines.use("ray", plugins=[str(own)]):
            assert list(engines.map_items(module.tenth, range(40))) == local
    finally:
        ray.shutdown()
