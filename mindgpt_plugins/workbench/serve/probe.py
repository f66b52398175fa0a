"""What a served model does: one request with an image, and a small load test with latencies and tokens per second."""

from __future__ import annotations

import base64
import json
import statistics
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindgpt_plugins.generation.vllm_server import ServeError


@dataclass(frozen=True)
class ProbeQuestion:
    """What is asked: a text and the pictures it is about."""

    text: str
    images: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Answered:
    """One streamed reply."""

    text: str
    tokens: int
    first: float
    """Seconds to the first token."""
    seconds: float


def ask_question(
    url: str, model: str, question: ProbeQuestion, *, max_tokens: int = 64, timeout: float = 300.0
) -> Answered:
    """Ask once, greedily, streaming.

    Raises:
        ServeError: the server refused, broke off or answered nothing.
    """
    content: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": _data_url(path)}} for path in question.images
    ]
    body = {
        "model": model,
        "messages": [{"role": "user", "content": [*content, {"type": "text", "text": question.text}]}],
        "max_tokens": max_tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    request = urllib.request.Request(
        f"{url}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    started = time.perf_counter()
    parts: list[str] = []
    first, tokens = 0.0, 0
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            for line in response:
                text = line.decode().strip()
                if not text.startswith("data: ") or text == "data: [DONE]":
                    continue
                chunk = json.loads(text.removeprefix("data: "))
                if chunk.get("usage"):
                    tokens = int(chunk["usage"]["completion_tokens"])
                for choice in chunk.get("choices") or []:
                    if choice["delta"].get("content"):
                        first = first or time.perf_counter() - started
                        parts.append(choice["delta"]["content"])
    except urllib.error.HTTPError as error:
        raise ServeError(f"the server refused the request: {error.code} {error.read().decode()[:500]}") from error
    except (urllib.error.URLError, OSError) as error:
        raise ServeError(f"the request failed: {error}") from error
    if not tokens:
        raise ServeError("the server answered without a single token")
    seconds = time.perf_counter() - started
    return Answered("".join(parts), tokens, first or seconds, seconds)


def run_load_test(
    send: Callable[[ProbeQuestion], Answered], questions: Sequence[ProbeQuestion], *, requests: int, at_once: int
) -> dict[str, Any]:
    """Send ``requests`` questions, ``at_once`` in flight.

    Returns:
        requests, at_once, seconds, requests and reply tokens per second, latency and time to first token as
        percentiles in seconds, and the failures' messages (none of them is counted in the figures).
    """
    failed: list[str] = []

    def one(number: int) -> Answered | None:
        try:
            return send(questions[number % len(questions)])
        except ServeError as error:
            failed.append(str(error))
            return None

    started = time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        answers = [answer for answer in pool.map(one, range(requests)) if answer is not None]
    seconds = time.perf_counter() - started
    return {
        "requests": requests,
        "at_once": at_once,
        "seconds": seconds,
        "requests_per_second": len(answers) / seconds,
        "tokens_per_second": sum(answer.tokens for answer in answers) / seconds,
        "latency": compute_percentiles([answer.seconds for answer in answers]),
        "first_token": compute_percentiles([answer.first for answer in answers]),
        "failed": failed,
    }


def read_drafted_tokens(url: str) -> dict[str, int] | None:
    """Tokens that speculative decoding has ``drafted`` and the model has ``accepted``; ``None`` when it is off.

    Raises:
        ServeError: the server does not say.
    """
    names = {
        "drafted": "vllm:spec_decode_num_draft_tokens_total",
        "accepted": "vllm:spec_decode_num_accepted_tokens_total",
    }
    try:
        with urllib.request.urlopen(f"{url}/metrics", timeout=10) as response:
            lines = response.read().decode().splitlines()
    except (urllib.error.URLError, OSError) as error:
        raise ServeError(f"the server's /metrics cannot be read: {error}") from error
    found = {
        key: [float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name}{{", f"{name} "))]
        for key, name in names.items()
    }
    return {key: int(sum(values)) for key, values in found.items()} if found["drafted"] else None


def compute_percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p90 and p99; empty without values."""
    if not values:
        return {}
    if len(values) == 1:
        return dict.fromkeys(("p50", "p90", "p99"), values[0])
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50": cuts[49], "p90": cuts[89], "p99": cuts[98]}


def _data_url(path: Path) -> str:
    kind = {".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}.get(path.suffix.lower(), "png")
    return f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
