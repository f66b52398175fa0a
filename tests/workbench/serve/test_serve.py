"""The server's command line, its failures and the probe, against small servers of our own; vLLM itself where it is."""

from __future__ import annotations

import http.server
import json
import os
import socket
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mindgpt_plugins.generation.vllm_server import ServeError, Server, VllmServerSettings, build_vllm_command
from mindgpt_plugins.workbench.serve.probe import (
    Answered,
    ProbeQuestion,
    ask_question,
    compute_percentiles,
    run_load_test,
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text(json.dumps({"model_type": "qwen3_vl", "vision_config": {}}))
    areas = {"size": {"shortest_edge": 256, "longest_edge": 65_536}, "patch_size": 16, "merge_size": 2}
    (tmp_path / "model/preprocessor_config.json").write_text(json.dumps(areas))
    return tmp_path / "model"


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Chat(http.server.BaseHTTPRequestHandler):
    seen: list[dict[str, Any]] = []

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).seen.append(body)
        if body["model"] == "unknown":
            self.send_error(404, "no such model")
            return
        self.send_response(200)
        self.end_headers()
        for chunk in (
            {"choices": [{"delta": {"content": "answer: "}}]},
            {"choices": [{"delta": {"content": "red"}}]},
            {"choices": [], "usage": {"completion_tokens": 3}},
        ):
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    Chat.seen = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Chat)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_command_fits_the_run(model: Path) -> None:
    settings = VllmServerSettings(model, "rl", "py", port=81, max_pixels=9216, cpu=True, more=("--seed", "3"))
    argv = build_vllm_command(settings)
    assert argv[:3] == ["py", "-m", "vllm.entrypoints.openai.api_server"] and argv[-2:] == ["--seed", "3"]
    value = dict(zip(argv, argv[1:], strict=False))
    assert value["--host"] == "127.0.0.1" and value["--port"] == "81"
    assert json.loads(value["--mm-processor-kwargs"])["size"] == {"shortest_edge": 1024, "longest_edge": 9216}
    assert json.loads(value["--limit-mm-per-prompt"]) == {"image": 4, "video": 0}
    assert "Qwen3ForCausalLM" in value["--hf-overrides"]
    assert "--hf-overrides" not in build_vllm_command(VllmServerSettings(model, "rl", "py"))
    with pytest.raises(ServeError, match="has no config.json"):
        build_vllm_command(VllmServerSettings(model.parent, "rl", "py"))


def test_sizes_are_given_to_processors_that_read_them_as_areas_only(model: Path) -> None:
    (model / "preprocessor_config.json").write_text(json.dumps({"size": {"height": 896, "width": 896}}))
    assert "--mm-processor-kwargs" not in build_vllm_command(VllmServerSettings(model, "rl", "py"))
    (model / "config.json").write_text(json.dumps({"model_type": "llama"}))
    assert "--limit-mm-per-prompt" not in build_vllm_command(VllmServerSettings(model, "rl", "py"))


def test_a_question_is_streamed_with_its_picture(url: str, tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "p.png")
    answered = ask_question(url, "rl", ProbeQuestion("what colour?", (tmp_path / "p.png",)))
    assert answered.text == "answer: red" and answered.tokens == 3 and 0 < answered.first <= answered.seconds
    (image, text) = Chat.seen[0]["messages"][0]["content"]
    assert image["image_url"]["url"].startswith("data:image/png;base64,") and text["text"] == "what colour?"
    with pytest.raises(ServeError, match="404"):
        ask_question(url, "unknown", ProbeQuestion("?"))


def test_the_load_test_counts_only_what_was_answered() -> None:
    def send(question: ProbeQuestion) -> Answered:
        if question.text == "bad":
            raise ServeError("refused")
        return Answered("x", 2, 0.1, 0.2)

    found = run_load_test(send, [ProbeQuestion("good"), ProbeQuestion("bad")], requests=10, at_once=3)
    assert found["failed"] == ["refused"] * 5 and found["latency"] == pytest.approx(
        {"p50": 0.2, "p90": 0.2, "p99": 0.2}
    )
    assert found["tokens_per_second"] == pytest.approx(10 / found["seconds"])
    assert compute_percentiles([]) == {}
    assert compute_percentiles([float(i) for i in range(101)]) == {"p50": 50.0, "p90": 90.0, "p99": 99.0}


def fake_python(path: Path, body: str) -> str:
    path.write_text(f"#!{sys.executable}\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_a_server_that_ends_while_starting_shows_its_log_and_a_hint(model: Path, tmp_path: Path) -> None:
    python = fake_python(tmp_path / "py", "raise SystemExit(\"No module named 'vllm'\")")
    with (
        Server(VllmServerSettings(model, "m", python, port=free_port()), tmp_path / "s") as server,
        pytest.raises(ServeError, match="(?s)while starting. This interpreter has no vLLM.*No module named"),
    ):
        server.wait_until_ready()


def test_the_server_is_stopped_with_the_block(model: Path, tmp_path: Path) -> None:
    body = (
        "import http.server, sys\n"
        "class H(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n        self.send_response(200); self.end_headers()\n"
        "port = int(sys.argv[sys.argv.index('--port') + 1])\n"
        "http.server.HTTPServer(('127.0.0.1', port), H).serve_forever()"
    )
    settings = VllmServerSettings(model, "m", fake_python(tmp_path / "py", body), port=free_port())
    with Server(settings, tmp_path / "s") as server:
        assert server.wait_until_ready(30) < 30
        with pytest.raises(ServeError, match="answers at .* already"), Server(settings, tmp_path / "t"):
            pass
        pid = server._child.pid  # type: ignore[union-attr]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
