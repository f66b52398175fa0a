"""A value that follows a JSON schema, decided by a seed: what the stub server answers when nothing is scripted."""

from __future__ import annotations

import random
from typing import Any

WORDS = [
    "left",
    "right",
    "red",
    "green",
    "car",
    "sign",
    "road",
    "tree",
    "count",
    "value",
    "total",
    "small",
    "large",
    "above",
    "below",
    "before",
    "after",
    "both",
]


def make_example(schema: dict[str, Any], seed: str) -> Any:
    """Make a value that follows ``schema``; the same seed gives the same value.

    Args:
        schema: the JSON schema subset that structured output uses: objects, arrays, strings, numbers, booleans, null,
            ``enum``, ``const``, ``anyOf``, ``allOf`` with one entry, ``$ref`` into ``$defs``, and their bounds.
        seed: any text.
    """
    return _value(schema, schema, random.Random(seed))


def _value(schema: dict[str, Any], root: dict[str, Any], chance: random.Random) -> Any:
    if "$ref" in schema:
        return _value(_resolve(schema["$ref"], root), root, chance)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return chance.choice(schema["enum"])
    for union in ("anyOf", "oneOf", "allOf"):
        if union in schema:
            return _value(schema[union][0], root, chance)
    kind = schema.get("type", "object")
    return _MAKERS[kind[0] if isinstance(kind, list) else kind](schema, root, chance)


def _resolve(reference: str, root: dict[str, Any]) -> dict[str, Any]:
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return dict(found)


def _object(schema: dict[str, Any], root: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    return {name: _value(part, root, chance) for name, part in schema.get("properties", {}).items()}


def _array(schema: dict[str, Any], root: dict[str, Any], chance: random.Random) -> list[Any]:
    least = schema.get("minItems", 0)
    count = chance.randint(least, min(schema.get("maxItems", least + 2), least + 2))
    return [_value(schema.get("items", {"type": "string"}), root, chance) for _ in range(count)]


def _string(schema: dict[str, Any], root: dict[str, Any], chance: random.Random) -> str:
    text = " ".join(chance.choices(WORDS, k=6))
    least = schema.get("minLength", 0)
    while len(text) < least:
        text += " " + chance.choice(WORDS)
    return text[: max(least, min(schema.get("maxLength", 60), 60))]


def _number(schema: dict[str, Any], root: dict[str, Any], chance: random.Random) -> float:
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    return round(chance.uniform(low, schema.get("maximum", schema.get("exclusiveMaximum", low + 5))), 3)


def _integer(schema: dict[str, Any], root: dict[str, Any], chance: random.Random) -> int:
    low = int(schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1))
    return chance.randint(low, int(schema.get("maximum", schema.get("exclusiveMaximum", low + 6) - 1)))


_MAKERS: dict[str, Any] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "number": _number,
    "integer": _integer,
    "boolean": lambda schema, root, chance: chance.random() < 0.5,
    "null": lambda schema, root, chance: None,
}
