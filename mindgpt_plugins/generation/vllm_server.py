"""vLLM's OpenAI server for one model folder, started, waited for and stopped."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mindgpt_plugins.core import process
from mindgpt_plugins.core.files import read_json
from mindgpt_plugins.core.image_size import MAX_PIXELS, MIN_PIXELS
from mindgpt_plugins.families import Thinking, has_vision, list_template_switches, read_area_rule


class ServeError(RuntimeError):
    """The server cannot serve this model; the message says what it said and what to do."""


@dataclass(frozen=True)
class VllmServerSettings:
    """What the server is started with."""

    model: Path
    """Folder with weights, processor and chat template; quantised or not."""
    name: str
    """Model name in requests."""
    python: str
    """Interpreter that has vLLM."""
    port: int = 8000
    host: str = "127.0.0.1"
    images: int = 4
    """Images per request at most."""
    min_pixels: int = MIN_PIXELS
    max_pixels: int = MAX_PIXELS
    thinking: Thinking = "model"
    """How the chat template is switched where a request does not say."""
    max_model_len: int | None = None
    """Longest prompt and reply, tokens; None: the model's own."""
    cpu: bool = False
    more: tuple[str, ...] = ()
    """Further arguments of ``vllm serve``, after ours."""

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self.host}:{self.port}"


def build_vllm_command(settings: VllmServerSettings) -> list[str]:
    """The command line.

    Prefix caching is vLLM's default and named so that it stays: the n questions about one picture, and every request's
    system prompt, are then computed once.

    Raises:
        ServeError: the folder is no model.
    """
    config = read_model_config(settings.model)
    arguments = [
        "-m", "vllm.entrypoints.openai.api_server",
        "--model", str(settings.model), "--served-model-name", settings.name,
        "--host", settings.host, "--port", str(settings.port),
        "--enable-prefix-caching",
    ]  # fmt: skip
    if has_vision(settings.model):
        arguments += ["--limit-mm-per-prompt", json.dumps({"image": settings.images, "video": 0})]
    rule = read_area_rule(settings.model)
    if rule is not None:
        # Clients send pictures as they are, so one step has to do; the processor's own limits hold beside ours, as in
        # training. Other families' processors have no limit of area: their `size` is a shape to scale to.
        least, most = max(rule.least, settings.min_pixels), min(rule.most, settings.max_pixels)
        limits = {"size": {"shortest_edge": min(least, most), "longest_edge": most}}
        arguments += ["--mm-processor-kwargs", json.dumps(limits)]
    if switches := list_template_switches(settings.thinking):
        arguments += ["--default-chat-template-kwargs", json.dumps(switches)]
    if settings.max_model_len is not None:
        arguments += ["--max-model-len", str(settings.max_model_len)]
    if settings.cpu:
        arguments += ["--enforce-eager"]
        if "quantization_config" not in config:  # left alone, vLLM turns float32 into bfloat16
            arguments += ["--dtype", "float32"]
        if config.get("model_type") == "qwen3_vl":  # vLLM's CPU platform asks the text part for its architecture
            arguments += ["--hf-overrides", json.dumps({"text_config": {"architectures": ["Qwen3ForCausalLM"]}})]
    return [settings.python, *arguments, *settings.more]


def read_model_config(model: Path) -> Mapping[str, Any]:
    """``config.json`` of a model folder.

    Raises:
        ServeError: it is none.
    """
    path = model / "config.json"
    if not path.is_file():
        raise ServeError(f"{model} has no config.json: it is no model folder")
    found: dict[str, Any] = read_json(path)
    return found


class Server:
    """A running server; leaving the ``with`` block stops it, and so does the death of this process.

    Args:
        settings: of the server.
        folder: for ``log.txt``; made when missing.
    """

    def __init__(self, settings: VllmServerSettings, folder: Path):
        self.settings, self.folder = settings, folder
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        if _answers(self.settings.url):
            raise ServeError(f"something answers at {self.settings.url} already; stop it or take another --port")
        env = process.build_child_environment(cpu=self.settings.cpu, offline=True, extra={})
        if self.settings.cpu:
            env = {"VLLM_CPU_KVCACHE_SPACE": "2", **env}  # GiB
        (self.folder / "log.txt").unlink(missing_ok=True)
        self._child = process.start_command(build_vllm_command(self.settings), folder=self.folder, env=env)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child is not None:
            process.stop_command(self._child)

    def wait_until_ready(self, patience: float = 900.0, tick: Callable[[float], None] = lambda seconds: None) -> float:
        """Wait until it answers; returns the seconds since the start.

        Args:
            patience: seconds.
            tick: called about twice a second with the seconds passed.

        Raises:
            ServeError: it ended or took too long; with the end of its log.
        """
        started = time.monotonic()
        while (passed := time.monotonic() - started) < patience:
            if not self.running():
                raise ServeError(f"the server ended while starting. {self.log_end()}")
            if _answers(self.settings.url):
                return passed
            tick(passed)
            time.sleep(0.5)
        raise ServeError(f"the server did not answer within {patience:.0f} s. {self.log_end()}")

    def running(self) -> bool:
        """Is the process alive?"""
        return self._child is not None and self._child.poll() is None

    def log_end(self, lines: int = 15) -> str:
        """The last lines of the log, and a hint where they hold a known cause."""
        path = self.folder / "log.txt"
        with open(path, encoding="utf-8", errors="replace") as file:
            last = list(deque(file, maxlen=200))
        shown = "".join(f"    {line}" for line in last[-lines:]).rstrip("\n")
        hint = next((advice for sign, advice in _HINTS if any(sign in line for line in last)), "")
        return f"{hint}The end of its log ({path}):\n{shown}"


_HINTS: Sequence[tuple[str, str]] = (
    (
        "No module named 'vllm'",
        "This interpreter has no vLLM: install the extra `serve` there, or name another with --python. ",
    ),
    ("compressed-tensors", "This vLLM may be too old for how the model was quantised: upgrade it, or quantise anew. "),
    ("quantization", "This vLLM cannot run the model's quantisation here; serve the unquantised model or upgrade. "),
    ("head_dim", "vLLM's CPU attention needs at least 32 dimensions per head. "),
    ("max_model_len", "Give --max-model-len: the model's own length does not fit the memory. "),
)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
