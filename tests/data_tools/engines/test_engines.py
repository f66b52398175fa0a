"""Per-item work: order, errors, dead workers; the same under Ray (slow)."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest
from mindgpt_data import engines
from mindgpt_data.client.request import Done
from mindgpt_data.client.run import ask_all
from mindgpt_data.schema.config import EndpointSettings
from mindgpt_data.testing.stub import StubServer

from mindgpt_plugins.core.registry import load_plugins


def halve(number: int) -> float:
    if number == 3:
        raise ValueError("three is odd")
    if number == 5:
        os._exit(1)
    return number / 2


def double(number: int) -> int:
    return 2 * number


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


def test_a_worker_that_dies_while_more_is_handed_over_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINDGPT_DATA_WORKERS", "2")
    submit, calls = ProcessPoolExecutor.submit, []

    def break_once(self: ProcessPoolExecutor, *arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 4:
            raise BrokenProcessPool("a child process terminated abruptly")
        return submit(self, *arguments)

    monkeypatch.setattr(ProcessPoolExecutor, "submit", break_once)
    outcomes = list(engines.map_items(double, range(6)))
    assert [o.value for o in outcomes] == [2 * n for n in range(6)] and len(calls) > 6


def die(number: int) -> int:
    os._exit(1)


def test_workers_that_always_die_stop_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINDGPT_DATA_WORKERS", "2")
    with pytest.raises(RuntimeError, match=r"5 worker processes died .*__main__"):
        list(engines.map_items(die, range(1000)))


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


def pid(number: int) -> int:
    return os.getpid()


def test_workers_are_kept_between_calls_and_end_with_their_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINDGPT_DATA_WORKERS", "2")
    with engines.use_engine("local"):
        first = {o.value for o in engines.map_items(pid, range(200))}
        again = {o.value for o in engines.map_items(pid, range(200))}
        assert again <= first and os.getpid() not in first
        outcomes = list(engines.map_items(halve, range(8)))
        assert [o.value for o in outcomes] == [None if n in (3, 5) else n / 2 for n in range(8)]
        assert not {o.value for o in engines.map_items(pid, range(200))} & first, "new ones after a crash"
    assert not any(Path(f"/proc/{worker}").exists() for worker in first)


def test_workers_do_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    code = (
        "import os, signal, test_engines\nfrom mindgpt_data import engines\n"
        "if __name__ == '__main__':\n"
        "    with engines.use_engine('local'):\n"
        "        print(*{o.value for o in engines.map_items(test_engines.pid, range(50))}, flush=True)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    (tmp_path / "parent.py").write_text(code)
    env = {**os.environ, "MINDGPT_DATA_WORKERS": "2", "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        [sys.executable, "parent.py"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    workers = [int(one) for one in done.stdout.split()]
    assert done.returncode == -signal.SIGKILL and workers
    deadline = time.monotonic() + 60
    while any(running(worker) for worker in workers):
        assert time.monotonic() < deadline, "a worker goes on without its parent"
        time.sleep(0.1)


def running(process: int) -> bool:
    """Is it there, and no zombie?"""
    try:
        return " Z " not in Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False


def test_unknown_engine_is_refused() -> None:
    with pytest.raises(ValueError, match="no engine 'spark'; the engines are: local, ray"), engines.use_engine("spark"):
        pass


@pytest.mark.slow
def test_ray_gives_what_local_gives_also_from_a_plugin_file(tmp_path: Path) -> None:
    ray = pytest.importorskip("ray")
    own = tmp_path / "own.py"
    own.write_text("def tenth(number):\n    assert number != 13, 'thirteen'\n    return number / 10\n")
    (module,) = load_plugins([str(own)])
    with engines.use_engine("local", plugins=[str(own)]):
        local = list(engines.map_items(module.tenth, range(40)))
    assert local[13].error == "AssertionError: thirteen"
    try:
        with engines.use_engine("ray", plugins=[str(own)]):
            assert list(engines.map_items(module.tenth, range(40))) == local
    finally:
        ray.shutdown()


@pytest.mark.slow
def test_ray_asks_in_shards_and_pays_once(tmp_path: Path) -> None:
    ray = pytest.importorskip("ray")
    own = tmp_path / "asks.py"
    own.write_text(
        "from mindgpt_data.client.request import Request, Task\n"
        "def task(n):\n"
        "    def build():\n"
        "        return Request([{'role': 'user', 'content': f'item {n}'}])\n"
        "    return Task(f'k{n}', 'f', build, lambda answer: answer.texts[0])\n"
    )
    (module,) = load_plugins([str(own)])
    store = tmp_path / "store.sqlite"
    with StubServer(faults={"500": 0.2}) as server:
        endpoint = EndpointSettings(base_url=server.url, model="stub", max_in_flight=16)
        asked = {"step": "s", "store": store, "endpoints": [endpoint]}
        list(ask_all((module.task(n) for n in range(20)), **asked))
        try:
            with engines.use_engine("ray", plugins=[str(own)]):
                outcomes = list(ask_all((module.task(n) for n in range(60)), **asked))
        finally:
            ray.shutdown()
        sent = sum(server.answered.values())
        again = list(ask_all((module.task(n) for n in range(60)), **asked))
    assert sorted(o.key for o in outcomes) == sorted(f"k{n}" for n in range(60))
    assert sum(isinstance(o, Done) and o.stored for o in outcomes) == 20
    assert all(isinstance(o, Done) and o.stored for o in again)
    assert sent == 60
    assert not list(tmp_path.glob("store-shard*"))
