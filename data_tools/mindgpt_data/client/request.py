"""What is asked of a model server and what comes back: plain data, no transport."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """One chat completion.

    Attributes:
        messages: OpenAI chat messages; images inline as ``{"type": "image_url", "image_url": {"url": "data:…"}}``.
        schema: JSON schema the answer must follow (sent as structured output), or None for free text.
        max_tokens: longest answer.
        temperature: 0 is greedy.
        n: how many answers.
        top_logprobs: ask for this many log-probabilities per token; 0 for none.
        seed: for servers that honour it.
        scored: the last message is the assistant's and its log-probabilities are wanted, not an answer. Sent with
            vLLM's ``add_generation_prompt: false``, ``continue_final_message: true``, ``prompt_logprobs: 0``,
            ``max_tokens: 1``.
    """

    messages: list[dict[str, Any]]
    schema: dict[str, Any] | None = None
    max_tokens: int = 1024
    temperature: float = 0.0
    n: int = 1
    top_logprobs: int = 0
    seed: int | None = None
    scored: bool = False


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        texts: the ``n`` answers.
        prompt_tokens: as the server counted them.
        completion_tokens: over all ``n``.
        model: the model that answered.
        logprobs: per answer, per token: ``{"token": str, "logprob": float, "top": {token: logprob}}``; empty when the
            server sent none. Of a ``scored`` request: one tuple, the last tokens of the prompt in order.
    """

    texts: tuple[str, ...]
    prompt_tokens: int = 0
    completion_tokens: int = 0
    model: str = ""
    logprobs: tuple[tuple[dict[str, Any], ...], ...] = ()


@dataclass(frozen=True)
class Task(Generic[T]):
    """One request to be made once.

    Attributes:
        key: unique in its step; stable between runs.
        fingerprint: hash of everything that decides the request (prompt, image content, settings). A stored answer is
            used again only when it is the same.
        build: makes the request; called only when it is really sent, so that images are encoded one at a time.
        parse: turns an answer into the value the step wants. Raising ``ValueError`` marks it invalid: it is asked
            again, and the last error is recorded.
    """

    key: str
    fingerprint: str
    build: Callable[[], Request]
    parse: Callable[[Answer], T]


@dataclass(frozen=True)
class Done(Generic[T]):
    """A task with its answer; ``stored`` when it had been paid for in an earlier run."""

    key: str
    value: T
    answer: Answer
    stored: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Failed:
    """A task that got no valid answer: the last error, and how often it was tried."""

    key: str
    error: str
    attempts: int
