"""ask_all and its servers: limits, waits, failover, wrong keys, and nobody there."""

import asyncio
import threading
import time
from email.utils import formatdate

import pytest
from mindgpt_data.client import sender as sender_module
from mindgpt_data.client.endpoint import EndpointError, EndpointState, Trouble
from mindgpt_data.client.pace import Pace
from mindgpt_data.client.request import Done, Failed, Request
from mindgpt_data.client.run import ask_all
from mindgpt_data.client.sender import PendingTask, Sender
from mindgpt_data.schema.config import EndpointSettings
from mindgpt_data.testing.stub import StubServer
from support.client_asking import make_task, run


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(sender_module, "BACKOFF", 0.01)


@pytest.mark.parametrize("header", ["1", "date"])
def test_retry_after_is_honoured(tmp_path, header):
    value = formatdate(time.time() + 2, usegmt=True) if header == "date" else header

    def first_fails_second_does_not(seed):
        server = StubServer(faults={"retry_after": 0.5}, seed=seed)
        return (server.fault("ask a"), server.fault("ask a")) == ("retry_after", None)

    seed = next(filter(first_fails_second_does_not, range(100)))
    with StubServer(faults={"retry_after": 0.5}, retry_after=value, seed=seed) as server:
        started = time.monotonic()
        run([make_task("a")], tmp_path / "s.sqlite", server)
        waited = time.monotonic() - started
    assert server.requests == 2 and waited > (0.9 if header == "1" else 0.5)


def test_requests_per_minute_is_never_exceeded(tmp_path):
    with StubServer() as server:
        started = time.monotonic()
        run((make_task(i) for i in range(21)), tmp_path / "s.sqlite", server, requests_per_minute=1200)
        assert time.monotonic() - started > 0.95  # 20 gaps of 50 ms


def test_tokens_per_minute_are_corrected_by_what_the_server_counted(tmp_path, monkeypatch):
    corrections = []
    monkeypatch.setattr(Pace, "correct", lambda self, units: corrections.append(units))
    with StubServer() as server:  # its answers use some 20 tokens, against an estimate of 300
        run((make_task(i) for i in range(3)), tmp_path / "s.sqlite", server, tokens_per_minute=36_000, max_in_flight=1)
    assert len(corrections) == 3 and all(-300 < units < -200 for units in corrections)


def test_what_is_given_back_is_not_waited_for():
    pace = Pace(60)  # one unit a second
    asyncio.run(pace.wait(300))
    assert pace.delay() > 250
    pace.correct(-300)
    assert pace.delay() == 0


def test_a_dead_endpoint_is_put_aside_and_the_other_does_the_work(tmp_path):
    with StubServer(latency=0.01) as server:
        dead = EndpointSettings(base_url="http://127.0.0.1:9/v1", model="stub", max_in_flight=8)
        alive = EndpointSettings(base_url=server.url, model="stub", max_in_flight=8)
        outcomes = run((make_task(i) for i in range(200)), tmp_path / "s.sqlite", dead, alive)
    assert all(isinstance(outcome, Done) for outcome in outcomes.values())


def test_endpoints_share_the_load_within_their_limits(tmp_path):
    with StubServer(latency=0.02) as small, StubServer(latency=0.02) as large:
        settings = [
            EndpointSettings(base_url=server.url, model="stub", max_in_flight=limit)
            for server, limit in ((small, 2), (large, 6))
        ]
        run((make_task(i) for i in range(160)), tmp_path / "s.sqlite", *settings)
    assert small.peak == 2 and large.peak == 6
    assert 20 <= small.requests <= 60 and small.requests + large.requests == 160


@pytest.mark.parametrize(
    ("status", "message", "told"),
    [(401, "bad key", "api_key_env"), (404, "no such model", "base_url"), (402, "no credit", "no credit")],
)
def test_what_no_request_can_pass_stops_the_run_at_once(tmp_path, status, message, told):
    with StubServer(refuse=(status, message)) as server, pytest.raises(EndpointError, match=message) as caught:
        run((make_task(i) for i in range(10_000)), tmp_path / "s.sqlite", server)
    assert told in str(caught.value) and server.requests <= 64


def test_a_task_after_the_end_is_dropped_and_the_end_is_told():
    sender = Sender([EndpointSettings(base_url="http://127.0.0.1:9/v1", model="stub")], lambda record, outcome: None)
    sender.stop()
    sender.run()
    sender.submit(PendingTask(make_task("late"), Request([]), b"[]", 1))  # the loop is closed: no error hides the cause


class DeadSession:
    """An aiohttp session whose server is not there."""

    def post(self, *arguments, **options):
        raise OSError("connection refused")


def probe(endpoint):
    with pytest.raises(Trouble, match="connection refused"):
        asyncio.run(endpoint.post(DeadSession(), b"{}", 1))


def test_a_server_that_never_answered_is_not_probed_for_minutes(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("mindgpt_data.client.endpoint.time.monotonic", lambda: now[0])
    silent = EndpointState(EndpointSettings(base_url="http://127.0.0.1:9/v1", model="stub", max_attempts=2))
    while not silent.hopeless:
        now[0] += silent.pause()
        probe(silent)
    assert now[0] < 10
    lost = EndpointState(silent.settings)
    lost.answered = True
    while not lost.hopeless:
        now[0] += lost.pause()
        probe(lost)
    assert now[0] > 300


def test_nobody_there_stops_the_run(tmp_path):
    nobody = EndpointSettings(base_url="http://127.0.0.1:9/v1", model="stub", max_attempts=2)
    with pytest.raises(EndpointError, match="is the server running"):
        run((make_task(i) for i in range(10_000)), tmp_path / "s.sqlite", nobody)


def test_requests_that_are_all_refused_stop_the_run(tmp_path):
    with StubServer(refuse=(400, "no response_format here")) as server, pytest.raises(EndpointError, match="here"):
        run((make_task(i) for i in range(10_000)), tmp_path / "s.sqlite", server)
    assert server.requests < 200


def test_the_limit_of_a_busy_server_is_found(tmp_path):
    with StubServer(latency=0.02, capacity=4) as server:
        outcomes = run((make_task(i) for i in range(300)), tmp_path / "s.sqlite", server, max_in_flight=64)
    assert all(isinstance(outcome, Done) for outcome in outcomes.values())
    assert server.peak == 4 and server.requests < 900  # 460 to 510 on idle cores; without cutting back it took 1,400


def test_a_server_that_is_always_busy_ends_the_run(tmp_path):
    with StubServer(refuse=(429, "quota")) as server, pytest.raises(EndpointError, match="quota"):
        run((make_task(i) for i in range(1_000)), tmp_path / "s.sqlite", server, max_in_flight=8, max_attempts=1)
    assert server.requests < 200


def test_an_endpoint_that_comes_back_is_used_again(tmp_path):
    with StubServer(refuse=(500, "restarting")) as server:
        threading.Timer(0.5, lambda: setattr(server, "refuse", None)).start()
        outcomes = run((make_task(i) for i in range(100)), tmp_path / "s.sqlite", server, max_in_flight=16)
    assert all(isinstance(outcome, Done) for outcome in outcomes.values())
    assert server.requests < 150, "requests waited for the endpoint instead of using up their attempts"


def test_the_key_reaches_the_server_and_nothing_else(tmp_path, monkeypatch):
    secret = "sk-very-secret-0123456789"
    monkeypatch.setenv("STUB_KEY", secret)
    updates = []

    def ask(server, **settings):
        endpoint = EndpointSettings(base_url=server.url, model="stub", api_key_env="STUB_KEY", **settings)
        tasks = [make_task(i) for i in range(5)]
        return list(
            ask_all(tasks, step="ask", store=tmp_path / "s.sqlite", endpoints=[endpoint], progress=updates.append)
        )

    with StubServer(api_key="another") as server, pytest.raises(EndpointError) as caught:
        ask(server)  # the stub repeats the key in its refusal, as servers do
    assert secret not in str(caught.value) and "***" in str(caught.value)
    assert caught.value.__cause__ is None or secret not in repr(caught.value.__cause__)
    with StubServer(refuse=(500, f"crashed with Bearer {secret}")) as server:
        with pytest.raises(EndpointError) as caught:
            ask(server, max_attempts=2)
        assert secret not in str(caught.value)
    with StubServer(api_key=secret, reply=lambda body: f"your key is {secret}") as server:
        outcomes = ask(server)
    assert [outcome.value for outcome in outcomes] == ["your key is ***"] * 5
    with StubServer(api_key=secret, refuse_when=lambda body: f"I log {secret} data:image/png;base64,AAAA") as server:
        failed = list(
            run(
                [make_task("z")],
                tmp_path / "s.sqlite",
                EndpointSettings(base_url=server.url, model="stub", api_key_env="STUB_KEY"),
            ).values()
        )
    assert failed == [Failed("z", "400: I log *** <image>", 1)]
    assert secret not in str(updates)
    for path in tmp_path.iterdir():
        assert secret.encode() not in path.read_bytes()


def test_a_missing_key_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("NO_KEY", raising=False)
    endpoint = EndpointSettings(base_url="http://127.0.0.1:9/v1", model="stub", api_key_env="NO_KEY")
    with pytest.raises(EndpointError, match="NO_KEY"):
        run([make_task("a")], tmp_path / "s.sqlite", endpoint)


def test_a_password_in_the_url_is_not_shown(tmp_path):
    nobody = EndpointSettings(base_url="http://me:hidden@127.0.0.1:9/v1", model="stub", max_attempts=1)
    with pytest.raises(EndpointError, match=r"http://127.0.0.1:9/v1") as caught:
        run([make_task("a")], tmp_path / "s.sqlite", nobody)
    assert "hidden" not in str(caught.value)
