import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mindgpt_data.testing.stub import StubServer

from mindgpt_plugins.rewards import asker as asking
from mindgpt_plugins.rewards.sdk import RewardError, Rollout
from mindgpt_plugins.rewards.suite import RewardConfig, Suite


def grade(body: dict) -> str:
    text = body["messages"][-1]["content"][-1]["text"]
    return json.dumps({"reason": "as told", "score": 8 if "good" in text.split("<reply>")[1] else 1})


def suite(url: str, store: Path, *, on_error: str = "stop", endpoint: dict | None = None, **options) -> Suite:
    endpoints = [{"base_url": url, "model": "stub", "max_in_flight": 4} | (endpoint or {})]
    config = {"options": {"endpoints": endpoints, "store": str(store), **options}, "on_error": on_error}
    rewards = {"judge": config, "accuracy": {"options": {"types": ["verifiable", "open"]}}}
    return Suite({name: RewardConfig.model_validate(one) for name, one in rewards.items()})


def opened(text: str, **fields) -> Rollout:
    return Rollout(text, "red", type="open", uid="u1", prompt="What is it?", **fields)


def test_replies_are_judged_together_and_paid_for_once(tmp_path: Path):
    texts = [f"a good one {i}" for i in range(12)] + ["bad"] * 6
    with StubServer(reply=grade, latency=0.05, faults={"500": 0.2}, keep=True) as server:
        s = suite(server.url, tmp_path / "judge.sqlite")

        async def score() -> list:
            return await asyncio.gather(*(s.score_sample_async(opened(text)) for text in texts))

        found = asyncio.run(score())
        assert [one.components["judge"] for one in found] == [0.8] * 12 + [0.1] * 6
        assert found[0].log["judge.reason"] == "as told"
        assert 1 < server.peak <= 4
        assert sum(server.answered.values()) == 13  # equal replies share one question
        asked = server.requests
        asking._asker.clear()  # as after a restart
        assert asyncio.run(score())[0].components == found[0].components
        assert server.requests == asked


def test_other_prompts_and_empty_replies_are_not_asked_about(tmp_path: Path):
    s = suite("http://127.0.0.1:9/v1", tmp_path / "s.sqlite")
    assert s.score_sample(Rollout("answer: red", "red")).components == {"judge": None, "accuracy": 1.0}
    assert s.score_sample(opened("  ")).components["judge"] == 0.0


def test_pictures_are_sent_and_count_for_the_store(tmp_path: Path):
    from PIL import Image

    with StubServer(reply=grade, keep=True) as server:
        s = suite(server.url, tmp_path / "s.sqlite")
        for colour in ("red", "blue", "red"):
            s.score_sample(opened("good", load_images=lambda c=colour: [Image.new("RGB", (40, 30), c)]))
        assert server.requests == 2
        kinds = [part["type"] for part in server.bodies[0]["messages"][-1]["content"]]
        assert kinds == ["image_url", "text"]


def test_a_server_that_is_down_stops_the_run_with_what_to_do(tmp_path: Path):
    s = suite("http://127.0.0.1:9/v1", tmp_path / "s.sqlite", endpoint={"max_attempts": 2})
    with pytest.raises(RewardError, match="(?s)'judge', sample 'u1'.*is the server running.*kept in.*on_error: none"):
        s.score_sample(opened("good"))


def test_or_is_not_scored_where_the_recipe_says_so(tmp_path: Path):
    s = suite("http://127.0.0.1:9/v1", tmp_path / "s.sqlite", endpoint={"max_attempts": 1}, on_error="none")
    got = s.score_sample(opened("good. answer: red"))
    assert (got.score, got.components["judge"]) == (1.0, None)
    assert "is the server running" in got.log["judge.error"]


def test_after_a_failure_the_next_question_connects_again(tmp_path: Path):
    with StubServer(reply=grade) as server:
        port = server.port
    s = suite(f"http://127.0.0.1:{port}/v1", tmp_path / "s.sqlite", endpoint={"max_attempts": 1})
    with pytest.raises(RewardError):
        s.score_sample(opened("good"))
    with StubServer(reply=grade, port=port):
        assert s.score_sample(opened("good")).components["judge"] == 0.8


def test_a_server_that_is_away_for_a_moment_is_waited_for(tmp_path: Path):
    with StubServer(reply=grade) as server:
        port = server.port
    s = suite(f"http://127.0.0.1:{port}/v1", tmp_path / "s.sqlite")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(s.score_sample, opened("good"))
        time.sleep(1.5)
        assert not asked.done()  # neither failed nor scored
        with StubServer(reply=grade, port=port):
            assert asked.result(60).components["judge"] == 0.8


def test_nonsense_from_the_judge_is_asked_again_then_told(tmp_path: Path):
    with StubServer(reply=lambda body: '{"reason": "x", "score": 99}') as server:
        s = suite(server.url, tmp_path / "s.sqlite", endpoint={"max_attempts": 2})
        with pytest.raises(RewardError, match="score 99 is no whole number from 0 to 10"):
            s.score_sample(opened("good"))
        assert server.requests == 2


def test_the_key_comes_from_the_environment_and_stays_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = tmp_path / "s.sqlite"
    monkeypatch.setenv("JUDGE_KEY", "secret-123")
    with StubServer(reply=grade, api_key="secret-123") as server:
        s = suite(server.url, store, endpoint={"api_key_env": "JUDGE_KEY"})
        assert s.score_sample(opened("good")).components["judge"] == 0.8
    assert b"secret-123" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
