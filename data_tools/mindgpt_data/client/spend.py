"""What asking costs: an estimate before the first request, and what was really paid, from the store."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindgpt_data.client.request import Request, Task
from mindgpt_data.client.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mindgpt_data.schema.config import EndpointSettings

CHARACTERS_PER_TOKEN = 4
PIXELS_PER_TOKEN = 32 * 32
"""Qwen3-VL: 16-pixel patches merged two by two."""
ANSWER_SHARE = 0.3
"""Of ``max_tokens`` that answers are taken to use when nothing is known: it is a bound, not an expectation."""


@dataclass(frozen=True)
class Estimate:
    """What a run may take.

    Attributes:
        requests: number of requests.
        prompt_tokens: images included.
        completion_tokens: expected; at most ``max_tokens`` each.
        cost: in the unit of the endpoint's prices, at the dearest endpoint.
        seconds: at the given limits, when one answer takes ``latency``.
    """

    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost: float
    seconds: float


def estimate_request_tokens(request: Request) -> int:
    """Prompt tokens (characters / 4, image pixels / 1,024) plus the expected answer."""
    return estimate_prompt_tokens(request) + estimate_answer_tokens(request)


def estimate_answer_tokens(request: Request) -> int:
    """Expected length of the answers."""
    return request.n * (1 if request.scored else math.ceil(request.max_tokens * ANSWER_SHARE))


def estimate_prompt_tokens(request: Request) -> int:
    """Estimate of what the server will count."""
    characters = pixels = 0
    for message in request.messages:
        content = message["content"]
        parts: list[dict[str, Any]] = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for part in parts:
            if part["type"] == "text":
                characters += len(part["text"])
            elif part["type"] == "image_url":
                pixels += _pixels(part["image_url"]["url"])
    return math.ceil(characters / CHARACTERS_PER_TOKEN) + math.ceil(pixels / PIXELS_PER_TOKEN)


def _pixels(url: str) -> int:
    """Of an inline picture, from its header; a remote one counts as a megapixel."""
    from PIL import Image

    if not url.startswith("data:"):
        return 1_048_576
    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
        return int(image.width * image.height)


def estimate_spend(
    tasks: Iterable[Task[Any]],
    total: int,
    endpoints: Sequence[EndpointSettings],
    *,
    sample: int = 20,
    latency: float = 5.0,
) -> Estimate:
    """Scale the first ``sample`` tasks up to ``total``; builds them, sends nothing.

    Args:
        tasks: an iterable of their own: what is drawn from an iterator here is gone.
        total: how many there will be.
        endpoints: prices and limits.
        sample: tasks to look at.
        latency: seconds that one answer is taken to need.
    """
    requests = [task.build() for task in islice(tasks, sample)]
    if not requests or not total:
        return Estimate(0, 0, 0, 0.0, 0.0)
    read = round(sum(map(estimate_prompt_tokens, requests)) / len(requests) * total)
    written = round(sum(map(estimate_answer_tokens, requests)) / len(requests) * total)
    cost = max(one.cost(read, written) for one in endpoints)
    # Requests per second that the endpoints allow together: the narrowest of concurrency, requests and tokens each.
    each = (read + written) / total
    rates = [
        min(
            one.max_in_flight / latency,
            (one.requests_per_minute or math.inf) / 60,
            (one.tokens_per_minute or math.inf) / 60 / max(each, 1),
        )
        for one in endpoints
    ]
    return Estimate(total, read, written, cost, total / sum(rates))


def read_usage(store: Path) -> list[dict[str, Any]]:
    """What was paid so far, per step and model: ``done, failed, attempts, prompt_tokens, completion_tokens, cost``."""
    if not store.is_file():
        return []
    with Store(store) as opened:
        return opened.usage()
