"""Batches: requests out, answers in, and the step finds them in the store."""

import json

import pytest
from mindgpt_data.client import batch
from mindgpt_data.client.request import Done, Request, Task
from mindgpt_data.client.run import ask_all
from mindgpt_data.client.store import Store
from mindgpt_data.schema.config import EndpointSettings
from mindgpt_data.testing.stub import make_completion

NOBODY = EndpointSettings(base_url="http://127.0.0.1:9/v1", model="stub", max_attempts=1, price_in=1e6)


def tasks(count, fingerprint="1", **fields):
    def build(i):
        return lambda: Request([{"role": "user", "content": f"ask {i} äöü"}], **fields)

    return [Task(f"k{i}", fingerprint, build(i), lambda answer: answer.texts) for i in range(count)]


def run_batch(paths, out, n=1):
    """What ``vllm run-batch`` writes."""
    with out.open("w") as file:
        for path in paths:
            for line in map(json.loads, path.read_text().splitlines()):
                assert line["method"] == "POST" and line["url"] == "/v1/chat/completions"
                body = make_completion(line["body"], f"answer to {line['body']['messages'][-1]['content']}")
                response = {"status_code": 200, "request_id": "r", "body": body}
                answer = {"id": "vllm-1", "custom_id": line["custom_id"], "response": response, "error": None}
                file.write(json.dumps(answer) + "\n")


def test_round_trip_answers_a_step_without_a_server(tmp_path):
    where = dict(step="ask", store=tmp_path / "s.sqlite", endpoint=NOBODY)
    paths = batch.write_batch_requests(tasks(7, n=2), tmp_path / "out", max_requests=3, **where)
    assert [len(path.read_text().splitlines()) for path in paths] == [3, 3, 1]
    run_batch(paths, tmp_path / "answers.jsonl")
    found = batch.read_batch_answers([tmp_path / "answers.jsonl"], tmp_path / "out", **where)
    assert (found.done, found.failed, found.missing, found.unknown) == (7, 0, 0, [])
    again = batch.read_batch_answers([tmp_path / "answers.jsonl"], tmp_path / "out", **where)
    assert (again.done, again.known) == (0, 7)
    outcomes = list(ask_all(tasks(7), step="ask", store=tmp_path / "s.sqlite", endpoints=[NOBODY]))
    assert sorted(outcome.key for outcome in outcomes) == [f"k{i}" for i in range(7)]
    assert all(isinstance(outcome, Done) and outcome.stored and len(outcome.value) == 2 for outcome in outcomes)
    with Store(tmp_path / "s.sqlite") as store:
        assert store.usage()[0]["cost"] > 7


def test_only_what_is_missing_is_written_and_large_files_are_split(tmp_path):
    where = dict(step="ask", store=tmp_path / "s.sqlite", endpoint=NOBODY)
    paths = batch.write_batch_requests(tasks(2), tmp_path / "out", **where)
    run_batch(paths, tmp_path / "answers.jsonl")
    batch.read_batch_answers([tmp_path / "answers.jsonl"], tmp_path / "out", **where)
    paths = batch.write_batch_requests(tasks(5), tmp_path / "out", max_bytes=500, **where)
    lines = [json.loads(line) for path in paths for line in path.read_bytes().splitlines()]
    assert [line["custom_id"] for line in lines] == ["k2", "k3", "k4"] and len(paths) > 1
    assert all(path.stat().st_size <= 500 for path in paths)
    with pytest.raises(batch.BatchError, match="'k2'"):
        batch.write_batch_requests(tasks(5), tmp_path / "out", max_bytes=50, **where)


def test_errors_strangers_and_half_lines_are_reported(tmp_path):
    where = dict(step="ask", store=tmp_path / "s.sqlite", endpoint=NOBODY)
    batch.write_batch_requests(tasks(6), tmp_path / "out", **where)
    cut = make_completion({"messages": []}, {"message": {"content": "…"}, "finish_reason": "length"})
    lines = [
        {
            "custom_id": "k0",
            "response": {"status_code": 400, "body": {"error": {"message": "too long"}}},
            "error": None,
        },
        {"custom_id": "k1", "response": None, "error": {"code": "batch_expired", "message": "expired"}},
        {"custom_id": "k2", "response": {"status_code": 200, "body": cut}, "error": None},
        {"custom_id": "k3", "response": {"status_code": 200, "body": make_completion({"messages": []}, "yes")}},
        {"custom_id": "k3", "response": None, "error": {"message": "the same line failed in another file"}},
        {"custom_id": "stranger", "response": None, "error": None},
    ]
    answers = tmp_path / "answers.jsonl"
    answers.write_text("\n".join(map(json.dumps, lines)) + '\n{"custom_id": "k4", "resp')
    found = batch.read_batch_answers([answers], tmp_path / "out", **where)
    assert (found.done, found.failed, found.known, found.missing, found.unreadable) == (1, 3, 1, 2, 1)
    assert found.unknown == ["stranger"]
    with Store(tmp_path / "s.sqlite") as store:
        told = dict(store.failures("ask"))
        assert store.counts("ask") == {"done": 1, "failed": 3}
    assert "400: too long" in told["k0"] and "expired" in told["k1"] and "max_tokens" in told["k2"]


def test_files_that_are_not_there_are_named(tmp_path):
    with pytest.raises(batch.BatchError, match="nothing.jsonl"):
        batch.write_batch_requests(tasks(1), tmp_path / "out", step="ask", store=tmp_path / "s.sqlite", endpoint=NOBODY)
        batch.read_batch_answers(
            [tmp_path / "nothing.jsonl"], tmp_path / "out", step="ask", store=tmp_path / "s.sqlite"
        )
    with pytest.raises(batch.BatchError, match="other.tasks.jsonl"):
        batch.read_batch_answers([], tmp_path / "out", step="other", store=tmp_path / "s.sqlite")


def test_a_request_that_cannot_be_built_is_a_failure_not_an_end(tmp_path):
    def build():
        raise OSError("unreadable")

    bad = Task("bad", "1", build, lambda answer: answer.texts)
    where = dict(step="ask", store=tmp_path / "s.sqlite", endpoint=NOBODY)
    (path,) = batch.write_batch_requests([bad, *tasks(1)], tmp_path / "out", **where)
    assert len(path.read_text().splitlines()) == 1
    with Store(tmp_path / "s.sqlite") as store:
        assert dict(store.failures("ask")) == {"bad": "the request cannot be built: unreadable"}
