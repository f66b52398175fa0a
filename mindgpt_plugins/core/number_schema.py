"""Keeps true and false out of numbers: to pydantic they are 1 and 0, and YAML reads a bare ``yes`` as true."""

from __future__ import annotations

from typing import Any, cast

from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_before_validator_function

_NO_SCHEMAS = ("metadata", "default", "expected", "serialization", "cls", "function")
"""Keys of a core schema whose values are none, whatever they look like."""


def guard_numbers(schema: CoreSchema) -> CoreSchema:
    """A model's core schema in which every number refuses true and false, in lists, mappings and unions too."""
    return cast(CoreSchema, _guarded(schema))


def _guarded(schema: Any) -> Any:
    if isinstance(schema, (list, tuple)):
        return type(schema)(map(_guarded, schema))
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") in ("int", "float"):
        return no_info_before_validator_function(_refuse_truth, cast(CoreSchema, schema))
    if schema.get("type") == "function-before" and schema["function"]["function"] is _refuse_truth:
        return schema  # of a nested model, which was here before
    return {key: one if key in _NO_SCHEMAS else _guarded(one) for key, one in schema.items()}


def _refuse_truth(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false (which YAML also writes yes, no, on and off)")
    return value
