"""Pydantic models as structured output: a schema that servers' grammars accept and cannot run away, and its parser."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from mindgpt_data.client.request import Answer
from mindgpt_plugins.core.json_text import parse_json_text

Model = TypeVar("Model", bound=BaseModel)
MAX_LENGTH = 2000
"""Characters of a string without ``max_length``: an unbounded one lets a model repeat itself up to ``max_tokens``."""
MAX_ITEMS = 16
_NOISE = ("title", "default", "examples")


def make_answer_schema(
    model: type[BaseModel], max_length: int = MAX_LENGTH, max_items: int = MAX_ITEMS
) -> dict[str, Any]:
    """JSON schema for :attr:`~mindgpt_data.client.request.Request.schema`.

    Every object is closed and all its fields required (OpenAI's strict mode asks for both), every string and array is
    bounded, ``$ref`` are resolved in place, and what only documents is left out; descriptions stay, models read them.

    Args:
        model: not recursive.
        max_length: of strings that name no bound themselves.
        max_items: of arrays that name no bound themselves.

    Raises:
        ValueError: the model contains itself: its answers would have no bound.
    """
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})

    def bounded(node: Any, inside: tuple[str, ...]) -> Any:
        if isinstance(node, list):
            return [bounded(one, inside) for one in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            name = node["$ref"].rsplit("/", 1)[-1]
            if name in inside:
                raise ValueError(f"{model.__name__}: {name} contains itself; structured output needs a bounded schema")
            return bounded(
                deepcopy(definitions[name]) | {k: v for k, v in node.items() if k != "$ref"}, (*inside, name)
            )
        # Property names may be "title" or "default": only the node's own keywords are noise.
        kept = {
            key: {name: bounded(part, inside) for name, part in value.items()}
            if key == "properties"
            else value
            if key in ("enum", "const")
            else bounded(value, inside)
            for key, value in node.items()
            if key not in _NOISE
        }
        if kept.get("type") == "string" and "enum" not in kept and "const" not in kept:
            kept.setdefault("maxLength", max_length)
        elif kept.get("type") == "array":
            kept.setdefault("maxItems", max_items)
        elif kept.get("type") == "object" and "properties" in kept:
            kept["required"] = list(kept["properties"])
            kept["additionalProperties"] = False
        return kept

    found = bounded(schema, ())
    assert isinstance(found, dict)
    return found


def make_answer_parser(model: type[Model]) -> Callable[[Answer], Model]:
    """Parser for :attr:`~mindgpt_data.client.request.Task.parse`: the first text as ``model``.

    Code fences and text around the outermost braces are forgiven: servers without a grammar add them.

    Raises (when called):
        ValueError: no JSON, or not the model; the message names the fields, not the whole text.
    """

    def parse(answer: Answer) -> Model:
        text = answer.texts[0]
        inner = text[text.find("{") : text.rfind("}") + 1]
        try:
            return model.model_validate_json(inner if _is_json(inner) else text)
        except ValidationError as error:
            told = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'answer'}: {e['msg']}" for e in error.errors()[:3])
            raise ValueError(f"not a {model.__name__}: {told}") from None

    return parse


def _is_json(text: str) -> bool:
    try:
        parse_json_text(text)
    except ValueError:
        return False
    return True
