"""The OpenAI chat protocol as bytes: what is sent, what comes back, which errors are worth another try."""

from __future__ import annotations

import email.utils
import json
import re
import time
from typing import Any

from mindgpt_data.client.request import Answer, Request
from mindgpt_plugins.core.json_text import parse_json_text

REPEAT_TEMPERATURE = 0.5
"""Temperature of a repeat after an invalid answer to a greedy request, which would only give the same answer again."""
_RETRY = frozenset((408, 409, 425, 429))
_FATAL = frozenset((401, 402, 404))
_DATA_URL = re.compile(r"data:[\w/+.-]*;base64,[A-Za-z0-9+/=]*")


def encode_messages(request: Request) -> bytes:
    """The large part of a body (it holds the images), encoded once however often the request is sent."""
    return b'{"messages":' + json.dumps(request.messages, ensure_ascii=False, separators=(",", ":")).encode() + b","


def encode_request(messages: bytes, request: Request, model: str, extra: dict[str, Any], repeat: int = 0) -> bytes:
    """The whole body.

    Args:
        messages: from :func:`encode_messages`.
        request: the rest.
        model: as the endpoint knows it.
        extra: laid over the fields; a null value removes one (a server that wants ``max_completion_tokens`` instead).
        repeat: invalid answers so far: a repeat gets another seed and is never greedy.
    """
    temperature = max(request.temperature, REPEAT_TEMPERATURE) if repeat else request.temperature
    fields: dict[str, Any] = {"model": model, "max_tokens": request.max_tokens, "temperature": temperature}
    if request.n > 1:
        fields["n"] = request.n
    if request.seed is not None:
        fields["seed"] = request.seed + repeat
    if request.top_logprobs:
        fields |= {"logprobs": True, "top_logprobs": request.top_logprobs}
    if request.scored:
        fields |= {
            "add_generation_prompt": False,
            "continue_final_message": True,
            "prompt_logprobs": 0,
            "max_tokens": 1,
        }
    if request.schema is not None:
        schema = {"name": "answer", "schema": request.schema, "strict": True}
        fields["response_format"] = {"type": "json_schema", "json_schema": schema}
    fields = {name: value for name, value in (fields | extra).items() if value is not None}
    return messages + json.dumps(fields, ensure_ascii=False, separators=(",", ":"))[1:].encode()


def decode_completion(body: bytes, request: Request) -> tuple[Answer, str | None]:
    """Read a chat completion.

    Returns:
        The answer, and why it cannot be used (empty, cut short, withheld) or None. With ``n`` > 1 one whole answer is
        enough: the others are passed on as they came, and whoever compares them sees that they say nothing. Requests
        for log-probabilities without a schema want the first tokens and expect the cut.

    Raises:
        ValueError: not JSON, or no completion.
    """
    try:
        data = parse_json_text(body)
        choices = data["choices"]
        usage = data.get("usage") or {}
        if request.scored:
            logprobs: tuple[tuple[dict[str, Any], ...], ...] = (_prompt_logprobs(data.get("prompt_logprobs"), request),)
        else:
            logprobs = tuple(_logprobs(choice) for choice in choices) if request.top_logprobs else ()
        answer = Answer(
            texts=tuple(replace_half_characters(choice["message"].get("content") or "") for choice in choices),
            prompt_tokens=usage.get("prompt_tokens") or 0,
            completion_tokens=usage.get("completion_tokens") or 0,
            model=data.get("model") or "",
            logprobs=logprobs if any(logprobs) else (),
        )
        if request.scored:
            return answer, None if answer.logprobs else "the server sent no prompt_logprobs (vLLM does)"
        faults = [_fault(choice, request) for choice in choices]
    except json.JSONDecodeError as error:
        raise ValueError(f"the server's response is no JSON ({error}): {shorten_message(body)}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the server's response is no chat completion: {shorten_message(body)}") from error
    if not faults:
        return answer, "the server sent no answer"
    return answer, faults[0] if all(faults) else None


def _fault(choice: dict[str, Any], request: Request) -> str | None:
    finish, message = choice.get("finish_reason"), choice["message"]
    if message.get("refusal"):
        return f"the model refused: {shorten_message(message['refusal'])}"
    if finish == "content_filter":
        return "the server's content filter withheld the answer"
    if finish == "length" and not (request.top_logprobs and request.schema is None):
        return f"the answer was cut at max_tokens = {request.max_tokens}"
    return None if message.get("content") else "the answer is empty"


def _logprobs(choice: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    tokens = (choice.get("logprobs") or {}).get("content") or ()
    return tuple(
        {
            "token": replace_half_characters(token["token"]),
            "logprob": token["logprob"],
            "top": {
                replace_half_characters(other["token"]): other["logprob"] for other in token.get("top_logprobs") or ()
            },
        }
        for token in tokens
    )


def _prompt_logprobs(tokens: list[dict[str, Any] | None] | None, request: Request) -> tuple[dict[str, Any], ...]:
    """Read vLLM's ``prompt_logprobs`` (``{id: {"logprob", "decoded_token"}}`` per token) of the last message, or more.

    A text has at most as many tokens as bytes; what comes before (thousands of image tokens) is left out.
    """
    last = request.messages[-1]["content"]
    size = len((last if isinstance(last, str) else "".join(part.get("text", "") for part in last)).encode()) + 16
    chosen = [next(iter(token.values())) for token in (tokens or ())[-size:] if token]
    return tuple(
        {"token": replace_half_characters(one["decoded_token"] or ""), "logprob": one["logprob"], "top": {}}
        for one in chosen
    )


def replace_half_characters(text: str) -> str:
    """The text without half characters: a model cut inside an emoji sends one, and no file or database takes it."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def shorten_message(text: str | bytes, limit: int = 300) -> str:
    """A message short enough for a log, without image bytes (servers like to echo what they refuse)."""
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    text = " ".join(_DATA_URL.sub("<image>", replace_half_characters(text)).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def find_error_message(body: bytes) -> str:
    """The server's own words in an error body: OpenAI's ``error.message``, vLLM's ``message``, FastAPI's ``detail``."""
    try:
        data = parse_json_text(body)
    except ValueError:
        return shorten_message(body)
    for path in (("error", "message"), ("message",), ("detail",), ("error",)):
        found: Any = data
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        if found:
            return shorten_message(found if isinstance(found, str) else json.dumps(found, ensure_ascii=False))
    return shorten_message(body)


def is_worth_repeating(status: int, body: bytes) -> bool:
    """Whether the same request may succeed later."""
    return (status in _RETRY or status >= 500) and not is_fatal_error(status, body)


def is_fatal_error(status: int, body: bytes, answered: bool = False) -> bool:
    """Whether every other request to this endpoint would fail the same way: wrong key, no credit, no such model.

    Args:
        status: HTTP status.
        body: of the error.
        answered: whether this endpoint has answered before: 403 is then about one request (moderation), not the key.
    """
    return status in _FATAL or (status == 403 and not answered) or (status == 429 and b"insufficient_quota" in body)


def parse_retry_after(value: str | None) -> float | None:
    """Seconds that a ``Retry-After`` header asks for: a number or an HTTP date; None without a readable one."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass  # the other form
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
