"""ask_all against the stub server: every task ends, answers are paid for once, and nothing piles up."""

import sqlite3
import threading
import time

import pytest
from mindgpt_data.client import endpoint as endpoint_module
from mindgpt_data.client import sender as sender_module
from mindgpt_data.client.request import Done, Failed, Request, Task
from mindgpt_data.client.run import ask_all
from mindgpt_data.client.store import Store
from mindgpt_data.client.structured import make_answer_parser, make_answer_schema
from mindgpt_data.schema.config import EndpointSettings
from mindgpt_data.testing.stub import FAULTS, StubServer
from pydantic import BaseModel
from support.client_asking import make_task, run


class QA(BaseModel):
    question: str
    answer: str


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(sender_module, "BACKOFF", 0.01)


def qa_tasks(count):
    return (make_task(i, parse=make_answer_parser(QA), schema=make_answer_schema(QA)) for i in range(count))


def test_every_fault_ends_in_an_outcome_and_a_rerun_pays_only_for_what_failed(tmp_path, monkeypatch):
    monkeypatch.setattr(endpoint_module, "PATIENCE", 100)
    faults = dict.fromkeys(FAULTS, 0.3 / len(FAULTS))
    with StubServer(faults=faults, retry_after="0.05") as server:
        first = run(qa_tasks(300), tmp_path / "s.sqlite", server, max_attempts=2, timeout=2.0)
        assert len(first) == 300 and set(server.sent_faults) == set(FAULTS)
        failed = {key for key, outcome in first.items() if isinstance(outcome, Failed)}
        assert 5 < len(failed) < 80
        assert all(first[key].error and first[key].attempts == 2 for key in failed)
        before = server.attempts.copy()
        second = run(qa_tasks(300), tmp_path / "s.sqlite", server, max_attempts=8, timeout=2.0)
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
        task = make_task("a", schema=make_answer_schema(QA), seed=3, max_tokens=9, temperature=0.2)
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


def test_a_refused_request_fails_with_the_servers_words_and_costs_the_others_nothing(tmp_path):
    def reply(body):
        return "fine"

    with StubServer(reply=reply, refuse_when=lambda body: "too long" if "ask 3" in str(body) else None) as server:
        outcomes = run((make_task(i) for i in range(30)), tmp_path / "s.sqlite", server, max_in_flight=1)
    assert outcomes["3"] == Failed("3", "400: too long", 1)
    assert sum(isinstance(outcome, Done) for outcome in outcomes.values()) == 29


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
        for i in range(1500):
            drawn.append(i)
            yield make_task(i)

    with StubServer() as server:
        endpoint = EndpointSettings(base_url=server.url, model="stub", max_in_flight=2)
        for taken, _ in enumerate(ask_all(tasks(), step="ask", store=tmp_path / "s.sqlite", endpoints=[endpoint]), 1):
            if taken % 100 == 0:
                time.sleep(0.05)
            assert len(drawn) - taken <= 16 * 2 + 256  # answers that wait for the caller; requests: see the benchmark


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
