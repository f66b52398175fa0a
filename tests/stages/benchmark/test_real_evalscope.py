"""Real EvalScope, in the interpreter named by MINDGPT_BENCHMARK_PYTHON (constraints/evalscope.txt), on local data.

All eight benchmarks against a server that remembers what it was asked: rows, judging, the blank pass, ``kill -9``, a
server that goes away, replies that do not parse, data that is not there.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from stub_server import StubServer, last_text

from mindgpt_plugins.core import process
from mindgpt_plugins.generation.chat_requests import digest_request
from mindgpt_plugins.stages.base import Context
from mindgpt_plugins.stages.benchmark.catalogue import BENCHMARKS
from mindgpt_plugins.stages.benchmark.config import BenchmarkConfig
from mindgpt_plugins.stages.benchmark.stage import BenchmarkStage

PYTHON = os.environ.get("MINDGPT_BENCHMARK_PYTHON")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PYTHON is None, reason="MINDGPT_BENCHMARK_PYTHON names no interpreter with EvalScope"),
]
ROWS = {"mmbench": 28}  # two languages; the others have every row once
SUBSETS = {"mmmu": {"subset_list": ["Art", "Math"]}}


def guess(body: dict[str, Any]) -> str:
    """A reply in the form the benchmark asks for, right or wrong by hash; every fifth is nonsense."""
    text = last_text(body)
    number = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).digest()[0]
    if number % 5 == 0:
        return "hm"
    if "YES or NO" in text:
        return ("YES", "NO")[number % 2]
    return f"ANSWER: {'AB'[number % 2]}\n\\boxed{{red}} red"


def command(folder: Path, data: dict[str, str], url: str, **keys: Any) -> list[str]:
    raw = {"kind": "benchmark", "server": url, "data": data, "batch_size": 4, "max_new_tokens": 16, **keys}
    raw.setdefault("benchmarks", [*data])
    raw.setdefault("harness", {"dataset_args": {k: v for k, v in SUBSETS.items() if k in raw["benchmarks"]}})
    context = Context("b", folder, {}, seed=0)
    folder.mkdir(exist_ok=True)
    (rendered,) = BenchmarkStage().render(BenchmarkConfig.model_validate(raw), context)
    return [str(PYTHON), *rendered.argv]


def start(argv: list[str], folder: Path) -> subprocess.Popen[bytes]:
    return process.start_command(
        argv, folder=folder, env=process.build_child_environment(cpu=True, offline=True, extra={})
    )


def finish(argv: list[str], folder: Path) -> tuple[int, str]:
    child = start(argv, folder)
    status = child.wait(300)
    return status, (folder / "log.txt").read_text(errors="replace")


def scores(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "scores.json").read_text()))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_all_benchmarks_run_and_a_kill_asks_nothing_twice(benchmark_data: dict[str, str], tmp_path: Path) -> None:
    with StubServer(guess) as server:
        whole = tmp_path / "whole"
        status, log = finish(command(whole, benchmark_data, server.url), whole)
        assert status == 0, log[-3000:]
    found = scores(whole)
    assert found["sets"] == [*BENCHMARKS] and found["harness"]["name"] == "evalscope"
    rows = lines(whole / "evalscope/rows.jsonl")
    predictions = lines(whole / "predictions.jsonl")
    for name in BENCHMARKS:
        own = [p for p in predictions if p["set"] == name]
        assert len(own) == ROWS.get(name, 14), name
        assert all(p["blank_correct"] is not None for p in own)
        assert 0 < sum(p["correct"] for p in own) < len(own), name  # the stub is right now and then
        seen = found["benchmarks"][name]["seen"]
        nonsense = [r for r in rows if r["benchmark"] == name and r["pass"] == "seen" and r["reply"] == "hm"]
        assert nonsense, name
        if name not in ("ocrbench", "mmmu"):  # their whole reply is an answer (of mmmu: to its open questions)
            assert seen["unparsed"] == len(nonsense) and seen["examples"][0] == "hm", name
        assert seen["harness"], name
    assert [m["name"] for m in found["benchmarks"]["pope"]["seen"]["harness"]][0] != ""
    assert all("base64" not in r["question"] for r in rows) and any("Is the answer" in r["question"] for r in rows)

    cut = tmp_path / "cut"
    with StubServer(guess, pause=0.1) as server:
        argv = command(cut, benchmark_data, server.url)
        child = start(argv, cut)
        until(lambda: (cut / "replies.jsonl").is_file() and len(lines(cut / "replies.jsonl")) >= 60)
        os.kill(child.pid, signal.SIGKILL)
        child.wait(10)
        until(lambda: quiet(server))
        kept = {line["key"] for line in lines(cut / "replies.jsonl")}
        before = {digest_request(body) for body in server.bodies}
        assert 60 <= len(kept) <= len(before) <= len(kept) + 4  # four in flight may be lost
        server.bodies.clear()
        status, log = finish(argv, cut)
        assert status == 0, log[-3000:]
        assert not kept & {digest_request(body) for body in server.bodies}
        assert f"{len(kept)} replies kept from before" in log
    assert scores(cut)["cells"] == found["cells"]
    assert lines(cut / "predictions.jsonl") == predictions


def test_a_server_that_goes_away_stops_it_and_the_same_command_goes_on(
    benchmark_data: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "b"
    data = {"pope": benchmark_data["pope"]}
    with StubServer(guess, pause=0.2) as server:
        port = int(server.url.rpartition(":")[2])
        argv = command(folder, data, server.url)
        child = start(argv, folder)
        until(lambda: len(server.bodies) >= 5)
    assert child.wait(120) == 1
    log = (folder / "log.txt").read_text()
    assert f"http://127.0.0.1:{port} does not answer any more" in log
    assert "the same command goes on from there" in log and not (folder / "scores.json").exists()
    kept = {line["key"] for line in lines(folder / "replies.jsonl")}
    assert len(kept) >= 5
    with StubServer(guess, port=port) as server:
        status, log = finish(argv, folder)
        assert status == 0, log[-3000:]
        assert not kept & {digest_request(body) for body in server.bodies}
    assert scores(folder)["cells"][0]["n"] > 0


@pytest.mark.parametrize(
    "keys, cause",
    [
        ({"harness": {"judgee": {}}}, "EvalScope refuses the stage's settings"),
        ({"data": {"pope": "empty"}}, "pope: its data set cannot be loaded from"),
        ({"server": "http://127.0.0.1:9"}, "http://127.0.0.1:9 does not answer GET /v1/models"),
    ],
)
def test_what_cannot_work_is_named(
    benchmark_data: dict[str, str], tmp_path: Path, keys: dict[str, Any], cause: str
) -> None:
    folder = tmp_path / "b"
    (tmp_path / "empty").mkdir()
    with StubServer(guess) as server:
        data = {"pope": str(tmp_path / "empty")} if "data" in keys else {"pope": benchmark_data["pope"]}
        url = keys.get("server", server.url)
        more = {"harness": keys["harness"]} if "harness" in keys else {}
        status, log = finish(command(folder, data, url, **more), folder)
        assert status == 1 and cause in log and not server.bodies


def test_two_folders_of_one_name_are_two_data_sets(benchmark_data: dict[str, str], tmp_path: Path) -> None:
    import shutil

    other = tmp_path / "other/pope"
    shutil.copytree(benchmark_data["pope"], other)
    pandas = pytest.importorskip("pandas")
    for file in other.glob("Full/*.parquet"):
        pandas.read_parquet(file).head(2).to_parquet(file)
    with StubServer(guess) as server:
        for at, (path, rows) in enumerate(((benchmark_data["pope"], 14), (str(other), 6))):
            folder = tmp_path / f"b{at}"
            status, log = finish(command(folder, {"pope": path}, server.url, blank=False), folder)
            assert status == 0, log[-3000:]
            assert len(lines(folder / "predictions.jsonl")) == rows


def until(true: Any, patience: float = 120.0) -> None:
    end = time.monotonic() + patience
    while not true():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def quiet(server: StubServer, seconds: float = 0.6) -> bool:
    before = len(server.bodies)
    time.sleep(seconds)
    return len(server.bodies) == before


def test_a_model_is_served_by_our_own_engine_when_there_is_no_server(
    benchmark_data: dict[str, str], tiny_model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "b"
    data = {"ocrbench": benchmark_data["ocrbench"], "pope": benchmark_data["pope"]}
    argv = command(folder, data, "", server=None, model=str(tiny_model), engine="hf", limit=2)
    status, log = finish(argv, folder)
    assert status == 0, log[-3000:]
    found = scores(folder)
    assert found["engine"] == "hf" and found["sets"] == ["ocrbench", "pope"]
    predictions = lines(folder / "predictions.jsonl")
    assert len([p for p in predictions if p["set"] == "pope"]) == 6  # two of each of its three subsets
    assert all(1 <= p["tokens"] <= 16 for p in predictions)
    again, log = finish(argv, folder)
    assert again == 0 and log.count("starting hf") == 1  # everything is answered: no model is loaded
    assert lines(folder / "predictions.jsonl") == predictions
