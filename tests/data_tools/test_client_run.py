"""ask_all against the stub server: every task ends, answers are paid for once, limits and keys are respected."""

import sqlite3
import threading
import time
from email.utils import formatdate

import pytest
from mindgpt_data.client import endpoint as endpoint_module
from mindgpt_data.client import sender as sender_module
from mindgpt_data.client.endpoint import EndpointError
from mindgpt_data.client.request import Done, Failed, Request, Task
from mindgpt_data.client.run import ask_all
from mindgpt_data.client.store import Store
from mindgpt_data.client.structured import parse_as, schema_of
from mindgpt_data.config import EndpointSettings
from mindgpt_data.testing.stub import FAULTS, StubServer
from pydantic import BaseModel


class QA(BaseModel):
    question: str
    answer: str


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(sender_module, "BACKOFF", 0.01)


def make_task(key, text=None, fingerprint="1", parse=lambda answer: answer.texts[0], **fields):
    messages = [{"role": "user", "content": text or f"ask {key}"}]
    return Task(str(key), fingerprint, lambda: Request(messages, **fields), parse)


def qa_tasks(count):
    return (make_task(i, parse=parse_as(QA), schema=schema_of(QA)) for i in range(count))


def run(tasks, store, *servers, step="ask", **settings):
    endpoints = [
        server
        if isinstance(server, EndpointSettings)
        else EndpointSettings(base_url=server.url, model="stub", **({"timeout": 5.0} | settings))
        for server in servers
    ]
    outcomes = list(ask_all(tasks, step=step, store=store, endpoints=endpoints))
    assert len({outcome.key for outcome in outcomes}) == len(outcomes)
    return {outcome.key: outcome for outcome in outcomes}


def test_every_fault_ends_in_an_outcome_and_a_rerun_pays_only_for_what_failed(tmp_path, monkeypatch):
    monkeypatch.setattr(endpoint_module, "PATIENCE", 100)
    faults = dict.fromkeys(FAULTS, 0.3 / len(FAULTS))
    with StubServer(faults=faults, retry_after="0.05") as server:
        first = run(qa_tasks(300), tmp_path / "s.sqlite", server, max_attempts=2, timeout=0.5)
        assert len(first) == 300 and set(server.sent_faults) == set(FAULTS)
        failed = {key for key, outcome in first.items() if isinstance(outcome, Failed)}
        assert 5 < len(failed) < 80
        assert all(first[key].error and first[key].attempts == 2 for key in failed)
        before = server.attempts.copy()
        second = run(qa_tasks(300), tmp_path / "s.sqlite", server, max_attempts=8, timeout=0.5)
        assert {key.removeprefix("ask ") for key in server.attempts - before} == failed
        assert all(isinstance(outcome, Done) for outcome in second.values())
        assert {key for key, outcome in second.items() if not outcome.stored} == failed
        assert set(server.answered.values()) == {1}, "nothing is paid twice"


def test_stored_answers_come_back_unchanged_and_a_changed_fingerprint_asks_again(tmp_path):
    logprobs = {"content": [{"token": "4", "logprob": -0.1, "top_logprobs": [{"token": "5", "logprob": -2.0}]}]}
    reply = {"message": {"content": "4"}, "logprobs": logprobs}
    with StubServer(reply=lambda body: reply) as server:
        task = make_task("a", top_logprobs=5, n=2)
        first = run([task], tmp_path / "s.sqlite", server)["a"]
        again = run([task], tmp_path / "s.sqlite", server)["a"]
        assert first == again and again.stored and not first.stored
        assert first.answer.texts == ("4", "4") and first.answer.prompt_tokens > 0
        assert first.answer.logprobs[0] == ({"token": "4", "logprob": -0.1, "top": {"5": -2.0}},)
        assert server.requests == 1
        assert not run([make_task("a", fingerprint="2")], tmp_path / "s.sqlite", server)["a"].stored
        assert not run([make_task("a")], tmp_path / "s.sqlite", server, step="other")["a"].stored
        assert server.requests == 3


def test_request_fields_reach_the_server(tmp_path):
    with StubServer(keep=True) as server:
        extra = {"max_tokens": None, "max_completion_tokens": 7, "top_k": 1}
        task = make_task("a", schema=schema_of(QA), seed=3, max_tokens=9, temperature=0.2)
        run([task], tmp_path / "s.sqlite", server, extra_body=extra)
    body = server.bodies[0]
    assert body["response_format"]["json_schema"]["strict"] and body["seed"] == 3 and body["temperature"] == 0.2
    assert body["max_completion_tokens"] == 7 and body["top_k"] == 1 and "max_tokens" not in body and "n" not in body


def test_a_given_answer_is_scored(tmp_path):
    tokens = [None, {"7": {"logprob": -9.0, "decoded_token": "x"}}, {"8": {"logprob": -0.5, "decoded_token": "red"}}]
    with StubServer(keep=True, prompt_logprobs=tokens) as server:
        messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "red"}]
        task = Task("a", "1", lambda: Request(messages, scored=True), lambda answer: answer.logprobs[0][-1])
        done = run([task], tmp_path / "s.sqlite", server)["a"]
    assert done.value == {"token": "red", "logprob": -0.5, "top": {}}
    assert server.bodies[0]["continue_final_message"] and not server.bodies[0]["add_generation_prompt"]


@pytest.mark.parametrize("broken", ["cut", "empty", "refused", "parse"])
def test_invalid_answers_are_asked_again_differently_and_then_fail_with_the_reason(tmp_path, broken):
    reply = {
        "cut": {"message": {"content": "{"}, "finish_reason": "length"},
        "empty": {"message": {"content": None}},
        "refused": {"message": {"content": None, "refusal": "I cannot"}},
        "parse": "nonsense",
    }[broken]

    def parse(answer):
        if answer.texts[0] == "nonsense":
            raise ValueError("no number in it")

    with StubServer(reply=lambda body: reply, keep=True) as server:
        failed = run([make_task("a", parse=parse, seed=1)], tmp_path / "s.sqlite", server, max_attempts=3)["a"]
    assert isinstance(failed, Failed) and failed.attempts == 3 and server.requests == 3
    told = {"cut": "max_tokens = 1024", "empty": "empty", "refused": "I cannot", "parse": "no number in it"}
    assert told[broken] in failed.error
    assert [body["seed"] for body in server.bodies] == [1, 2, 3]
    assert [body["temperature"] for body in server.bodies] == [0.0, 0.5, 0.5], "a greedy repeat would say the same"
    with Store(tmp_path / "s.sqlite") as store:
        assert store.usage()[0]["completion_tokens"] > 0, "invalid answers are paid for too"


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
    assert server.requests == 2 and (0.9 if header == "1" else 0.5) < waited < 4


def test_requests_per_minute_is_never_exceeded(tmp_path):
    with StubServer() as server:
        started = time.monotonic()
        run((make_task(i) for i in range(21)), tmp_path / "s.sqlite", server, requests_per_minute=1200)
        assert 0.95 < time.monotonic() - started < 3  # 20 gaps of 50 ms


def test_tokens_per_minute_are_corrected_by_what_the_server_counted(tmp_path):
    with StubServer() as server:  # its answers use some 20 tokens, against an estimate of 300
        started = time.monotonic()
        run((make_task(i) for i in range(10)), tmp_path / "s.sqlite", server, tokens_per_minute=36_000, max_in_flight=1)
        assert time.monotonic() - started < 2  # uncorrected: 10 × 300 tokens at 600 a second = 5 s


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


def test_nobody_there_stops_the_run(tmp_path):
    nobody = EndpointSettings(base_url="http://127.0.0.1:9/v1", model="stub", max_attempts=2)
    with pytest.raises(EndpointError, match="is the server running"):
        run((make_task(i) for i in range(10_000)), tmp_path / "s.sqlite", nobody)


def test_a_refused_request_fails_with_the_servers_words_and_costs_the_others_nothing(tmp_path):
    def reply(body):
        return "fine"

    with StubServer(reply=reply, refuse_when=lambda body: "too long" if "ask 3" in str(body) else None) as server:
        outcomes = run((make_task(i) for i in range(30)), tmp_path / "s.sqlite", server, max_in_flight=1)
    assert outcomes["3"] == Failed("3", "400: too long", 1)
    assert sum(isinstance(outcome, Done) for outcome in outcomes.values()) == 29


def test_requests_that_are_all_refused_stop_the_run(tmp_path):
    with StubServer(refuse=(400, "no response_format here")) as server, pytest.raises(EndpointError, match="here"):
        run((make_task(i) for i in range(10_000)), tmp_path / "s.sqlite", server)
    assert server.requests < 200


def test_a_request_that_cannot_be_built_fails_alone(tmp_path):
    def build():
        raise ValueError("photo.jpg is truncated")

    bad = Task("bad", "1", build, lambda answer: answer.texts[0])
    with StubServer() as server:
        outcomes = run([make_task("good"), bad], tmp_path / "s.sqlite", server)
    assert isinstance(outcomes["good"], Done)
    assert outcomes["bad"] == Failed("bad", "the request cannot be built: photo.jpg is truncated", 0)


def test_half_characters_in_keys_prompts_and_answers_cost_nobody_else(tmp_path):
    odd = "photo\udcff.jpg"
    with StubServer(reply=lambda body: "cut emoji \ud83d", count_by=lambda body: "") as server:
        for _ in range(2):
            outcomes = run([make_task(odd, text="ask"), make_task("b", text=odd)], tmp_path / "s.sqlite", server)
            assert outcomes[odd].value == "cut emoji ?"
            assert "cannot be built" in outcomes["b"].error
    assert server.requests == 1


def test_the_limit_of_a_busy_server_is_found(tmp_path):
    with StubServer(latency=0.02, capacity=4) as server:
        outcomes = run((make_task(i) for i in range(300)), tmp_path / "s.sqlite", server, max_in_flight=64)
    assert all(isinstance(outcome, Done) for outcome in outcomes.values())
    assert server.peak == 4 and server.requests < 600


def test_an_endpoint_that_comes_back_is_used_again(tmp_path):
    with StubServer(refuse=(500, "restarting")) as server:
        threading.Timer(0.5, lambda: setattr(server, "refuse", None)).start()
        outcomes = run((make_task(i) for i in range(100)), tmp_path / "s.sqlite", server, max_in_flight=16)
    assert all(isinstance(outcome, Done) for outcome in outcomes.values())
    assert server.requests < 150, "requests waited for the endpoint instead of using up their attempts"


def test_errors_of_the_callers_own_code_reach_the_caller(tmp_path):
    def broken():
        yield make_task("a")
        raise KeyError("mine")

    def wrong(answer):
        raise TypeError("mine too")

    with StubServer() as server:
        with pytest.raises(KeyError, match="mine"):
            run(broken(), tmp_path / "s.sqlite", server)
        with pytest.raises(TypeError, match="mine too"):
            run([make_task("b", parse=wrong)], tmp_path / "s.sqlite", server)
        with pytest.raises(ValueError, match="two tasks have the key 'a'"):
            run([make_task("a", fingerprint="2")] * 2, tmp_path / "s.sqlite", server)


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


def test_closing_early_stops_the_threads_and_keeps_what_was_answered(tmp_path):
    drawn = []

    def tasks():
        for i in range(100_000):
            drawn.append(i)
            yield make_task(i)

    with StubServer(latency=0.01) as server:
        endpoint = EndpointSettings(base_url=server.url, model="stub", max_in_flight=4)
        outcomes = ask_all(tasks(), step="ask", store=tmp_path / "s.sqlite", endpoints=[endpoint])
        taken = [next(outcomes) for _ in range(20)]
        outcomes.close()
        assert len(drawn) < 20 + 2 * 4 + 32 + 4, "tasks are drawn a bounded number ahead"
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("ask-")]
    with Store(tmp_path / "s.sqlite") as store:
        assert all(store.find("ask", outcome.key, "1") for outcome in taken)
        assert store.counts("ask")["done"] >= 20


def test_a_slow_caller_does_not_make_tasks_pile_up(tmp_path):
    drawn = []

    def tasks():
        for i in range(500):
            drawn.append(i)
            yield make_task(i)

    with StubServer() as server:
        endpoint = EndpointSettings(base_url=server.url, model="stub", max_in_flight=2)
        for taken, _ in enumerate(ask_all(tasks(), step="ask", store=tmp_path / "s.sqlite", endpoints=[endpoint]), 1):
            if taken % 100 == 0:
                time.sleep(0.05)
            assert len(drawn) - taken <= 2 * 2 + 32


def test_progress_tells_failures_rate_cost_and_the_end(tmp_path):
    updates = []
    with StubServer(latency=0.2) as server:
        endpoint = EndpointSettings(base_url=server.url, model="stub", max_in_flight=4, price_out=1e6)
        tasks = (make_task(i) for i in range(12))
        list(
            ask_all(
                tasks, step="ask", store=tmp_path / "s.sqlite", endpoints=[endpoint], progress=updates.append, total=12
            )
        )
    last = updates[-1]
    assert last["step"] == last["total"] == 12 and last["failed"] == 0 and last["cost"] > 12
    assert any(update["in_flight"] == 4 for update in updates) and any(update.get("eta") for update in updates)
    assert len(updates) < 12


def test_a_file_that_is_no_store_is_refused(tmp_path):
    path = tmp_path / "s.sqlite"
    path.write_text("this is no database, and long enough to be seen as none " * 50)
    with pytest.raises(ValueError, match="s.sqlite"):
        run([make_task("a")], path, EndpointSettings(base_url="http://127.0.0.1:9/v1", model="stub"))
    newer = tmp_path / "newer.sqlite"
    with sqlite3.connect(newer) as db:
        db.execute("PRAGMA user_version=99")
    with pytest.raises(ValueError, match="99"):
        Store(newer)
