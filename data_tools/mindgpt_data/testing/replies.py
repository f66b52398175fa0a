"""What the stub server says: chat completions and embeddings as an OpenAI-compatible server writes them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from mindgpt_data.testing.example import make_example

Reply = Callable[[dict[str, Any]], "str | dict[str, Any]"]
"""Request body → the text of the answer, or a dict laid over the choice (``message``, ``logprobs``, …)."""


def find_prompt(body: dict[str, Any]) -> str:
    """The last text of the last message: what the stub counts answers by, unless told otherwise."""
    content = body["messages"][-1]["content"]
    if isinstance(content, str):
        return content
    return next((part["text"] for part in reversed(content) if part["type"] == "text"), "")


def follow_schema(body: dict[str, Any]) -> str:
    """A reply that follows the request's schema, the same for the same prompt."""
    text = find_prompt(body)
    wanted = body.get("response_format", {}).get("json_schema", {}).get("schema")
    return f"stub answer to: {text[:80]}" if wanted is None else json.dumps(make_example(wanted, text))


def make_completion(body: dict[str, Any], reply: str | dict[str, Any]) -> dict[str, Any]:
    """The chat completion that carries ``reply`` ``n`` times, as a server would write it."""
    laid = {"message": {"role": "assistant", "content": reply}} if isinstance(reply, str) else reply
    text = str(laid.get("message", {}).get("content", ""))
    count = body.get("n") or 1
    read, written = len(json.dumps(body["messages"])) // 4, (len(text) // 4 + 1) * count
    return {
        "id": "chatcmpl-stub",
        "object": "chat.completion",
        "created": 0,
        "model": body.get("model", "stub"),
        "choices": [{"index": i, "finish_reason": "stop", **laid} for i in range(count)],
        "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written},
    }


def make_embeddings(body: dict[str, Any], size: int = 64) -> dict[str, Any]:
    """Random vectors, the same for the same text."""
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    vectors = [[random.Random(f"{i}/{text}").gauss(0, 1) for i in range(size)] for text in texts]
    data = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(vectors)]
    return {"object": "list", "model": body.get("model", "stub"), "data": data, "usage": {"prompt_tokens": len(texts)}}
