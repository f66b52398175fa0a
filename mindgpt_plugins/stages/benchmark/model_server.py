"""The server that answers the harness: one that runs already, or vLLM or our own engine started for the stage."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from mindgpt_plugins.core import process
from mindgpt_plugins.core.schema import write_model
from mindgpt_plugins.core.secrets import format_authorization
from mindgpt_plugins.generation.config import EngineServerSettings, ModelSettings
from mindgpt_plugins.generation.vllm_server import ServeError, Server, VllmServerSettings
from mindgpt_plugins.stages.benchmark.job import BenchmarkJob

IMAGES = 8
"""Pictures per request (MMMU has up to seven)."""


class HuggingFaceServer(Server):
    """:mod:`.hf_server` in place of vLLM's server, with the same life."""

    def __init__(self, settings: VllmServerSettings, folder: Path, engine: ModelSettings):
        super().__init__(settings, folder)
        self.engine = engine

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        shared = self.engine.model_dump(include=set(ModelSettings.model_fields))
        own = {"model": str(self.settings.model), "model_name": self.settings.name, "port": self.settings.port}
        write_model(self.folder / "server.json", EngineServerSettings.model_validate({**shared, **own}))
        (self.folder / "log.txt").unlink(missing_ok=True)
        argv = [self.settings.python, "-m", "mindgpt_plugins.generation.hf_server", "server.json"]
        env = process.build_child_environment(cpu=self.settings.cpu, offline=False, extra={})
        self._child = process.start_command(argv, folder=self.folder, env=env)
        return self


class ModelServer:
    """Starts what the settings ask for when told to; leaving the ``with`` block stops it again."""

    def __init__(self, job: BenchmarkJob, folder: Path):
        self.job, self.folder = job, folder
        self.running: Server | None = None
        self.url: str | None = None
        """Base URL, once it answers."""

    @property
    def name(self) -> str:
        """Model name in requests.

        Raises:
            ServeError: a server that runs already does not say which models it has.
        """
        if self.job.server is None:
            return self.job.model_name
        return self.job.served_name or list_served_models(self.job.server, build_auth_headers(self.job))[0]

    def start(self) -> str:
        """Start it, unless it runs already, and return its base URL.

        Raises:
            ServeError: it does not start; with the end of its log.
        """
        if self.job.server is not None:
            self.url = normalise_base_url(self.job.server)
            return self.url
        engine = choose_server_engine(self.job)
        settings = VllmServerSettings(
            model=fetch_model_folder(self.job.model),
            name=self.name,
            python=self.job.engine_python,
            port=_free_port(),
            images=IMAGES,
            min_pixels=self.job.min_pixels,
            max_pixels=self.job.max_pixels,
            thinking=self.job.thinking,
            cpu=self.job.device == "cpu",
            more=render_vllm_flags(self.job.vllm),
        )
        print(f"starting {engine} for {self.job.model}", flush=True)
        if engine == "hf":
            self.running = HuggingFaceServer(settings, self.folder, self.job)
        else:
            self.running = Server(settings, self.folder)
        self.running.__enter__()
        seconds = self.running.wait_until_ready()
        print(f"{engine} answers after {seconds:.0f} s", flush=True)
        self.url = settings.url
        return self.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.running is not None:
            self.running.__exit__(None, None, None)

    def last_words(self) -> str:
        """What a server of ours said when it is gone; empty while it runs, or when it is not ours."""
        if self.running is None or self.running.running():
            return ""
        return self.running.log_end()


def fetch_model_folder(model: str) -> Path:
    """A model folder as it is; a hub id as the folder it is downloaded to.

    Raises:
        ServeError: the hub does not give it.
    """
    if Path(model).is_dir():
        return Path(model)
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model))
    except Exception as error:  # noqa: BLE001 - no network, no such model, no right to it: all the same here
        raise ServeError(f"model: {model!r} is no folder and the hub does not give it: {error}") from error


def choose_server_engine(job: BenchmarkJob) -> str:
    """``vllm`` or ``hf``: what ``engine: auto`` means in the interpreter that will run it."""
    if job.engine != "auto":
        return job.engine
    if job.device == "cpu":
        return "hf"
    probe = "import importlib.util, sys; sys.exit(importlib.util.find_spec('vllm') is None)"
    return "vllm" if subprocess.run([job.engine_python, "-c", probe], check=False).returncode == 0 else "hf"


def render_vllm_flags(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Arguments of ``vllm.LLM`` as flags of its server: ``{max_model_len: 8192}`` → ``--max-model-len 8192``."""
    found: list[str] = []
    for key, value in options.items():
        flag = "--" + key.replace("_", "-")
        if isinstance(value, bool):
            found.append(flag if value else f"--no-{flag[2:]}")
        else:
            found += [flag, json.dumps(value) if isinstance(value, (dict, list)) else str(value)]
    return tuple(found)


def normalise_base_url(url: str) -> str:
    """A server's address without the ``/v1`` that some write and some do not."""
    return url.rstrip("/").removesuffix("/v1")


def build_auth_headers(job: BenchmarkJob) -> dict[str, str]:
    """Authorisation for a server that runs already, from the environment variable that the recipe names."""
    variable = job.key_env
    if not variable:
        return {}
    if variable not in os.environ:
        raise ServeError(f"key_env: the environment variable {variable} is not set")
    return {"Authorization": format_authorization(os.environ[variable].strip())}


def list_served_models(url: str, more: Mapping[str, str]) -> list[str]:
    """Names of the models of a running server.

    Raises:
        ServeError: it does not answer, or has none.
    """
    request = urllib.request.Request(f"{normalise_base_url(url)}/v1/models", headers=dict(more))
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            names = [str(model["id"]) for model in json.loads(response.read())["data"]]
    except (urllib.error.URLError, OSError, ValueError, KeyError) as error:
        raise ServeError(
            f"server: {url} does not answer GET /v1/models ({error}); start it, or correct the URL"
        ) from error
    if not names:
        raise ServeError(f"server: {url} serves no model")
    return names


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
