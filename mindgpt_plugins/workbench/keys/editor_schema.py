"""The JSON schema of recipes, for editors: ``mindgpt keys --json-schema > recipes/recipe.schema.json``.

It is made of what the stages' own schemas say and adds what only a file has: ``extends`` (with which keys may be
missing), ``${…}`` wherever a value may stand, and a mapping or a bare name for everything that is registered. Draft 7,
because that is what editors' YAML servers know best.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from mindgpt_plugins.core import registry, signatures
from mindgpt_plugins.core.builtins import BUILTINS
from mindgpt_plugins.core.choice import REGISTERED
from mindgpt_plugins.workbench.keys.collect import list_recipe_options

Node = dict[str, Any]
_INTERPOLATION = "#/definitions/interpolation"
_FAMILIES = {"whole": True, "partial": False}
"""Definitions stand twice: with required keys, and without them for recipes that extend another."""


def render_schema_text() -> str:
    """The schema as it lies in ``recipes/``: one definition per line, so that a diff shows what has changed."""
    whole = build_recipe_schema()
    lines = [f"{_compact(name)}: {_compact(node)}" for name, node in whole.pop("definitions").items()]
    return _compact(whole)[:-1] + ', "definitions": {\n' + ",\n".join(lines) + "\n}}\n"


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def build_recipe_schema() -> Node:
    """Every stage kind that ships, the head, and what a plugin's stage may have: anything."""
    from mindgpt_plugins.recipe.schema import RecipeHead

    definitions: Node = {
        "interpolation": {
            "type": "string",
            "pattern": r"\$\{[^:]+\}",
            "description": "The value of another key: ${seed}.",
        }
    }
    kinds = list(BUILTINS["stage"])
    heads = {}
    for family, required in _FAMILIES.items():
        for kind in kinds:
            config = registry.get_registered("stage", kind).Config
            definitions[f"{family}.stage.{kind}"] = _adapted(config, definitions, family, required)
        definitions[f"{family}.stage"] = _stage(family, kinds)
        heads[family] = _adapted(RecipeHead, definitions, family, required)
    head = heads["partial"]
    head["properties"] |= {
        "extends": {
            "type": "string",
            "description": "A recipe next to this one, or a shipped name, to build on.",
        },
        "stages": {"type": "object", "description": "Stage name → its settings, in the order in which they run."},
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A recipe of mindgpt-plugins",
        "description": "docs/recipe.md explains every key; `mindgpt validate` checks what a schema cannot.",
        **head,
        "if": {"required": ["extends"]},
        "then": _stages("partial", {"type": "null"}),
        "else": {"required": ["name", "stages"], **_stages("whole")},
        "definitions": dict(sorted(definitions.items())),
    }


def _stages(family: str, *more: Node) -> Node:
    one: Node = {"$ref": f"#/definitions/{family}.stage"}
    return {"properties": {"stages": {"additionalProperties": {"anyOf": [one, *more]} if more else one}}}


def _stage(family: str, kinds: Iterable[str]) -> Node:
    """One stage: its kind decides which keys it has; a kind that a plugin brings may have any."""
    found: Node = {
        "type": "object",
        "properties": {
            "kind": {
                "anyOf": [{"enum": list(kinds)}, {"type": "string"}],
                "description": "What the stage does, and with it which further keys it has.",
            }
        },
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
                "then": {"$ref": f"#/definitions/{family}.stage.{kind}"},
            }
            for kind in kinds
        ],
    }
    return {**found, "required": ["kind"]} if _FAMILIES[family] else found


def _adapted(model: Any, definitions: Node, family: str, required: bool) -> Node:
    """A model's schema as a recipe writes it; what it refers to is added to ``definitions``."""
    made = model.model_json_schema(ref_template=f"#/definitions/{family}.{{model}}")
    inner = made.pop("$defs", {})
    for name, one in inner.items():
        definitions[f"{family}.{name}"] = _rewritten(one, required)
    return _rewritten(made, required)


def _rewritten(node: Node, required: bool) -> Node:
    """A schema in draft 7 in which every value may be an interpolation."""
    node = {key: value for key, value in node.items() if key not in ("title", "discriminator")}
    if not required:
        node.pop("required", None)
    if (kind := node.pop(REGISTERED, None)) is not None:
        return _choice(node, kind, required)
    for key in ("anyOf", "oneOf", "allOf"):
        if key in node:
            node[key] = [_rewritten(one, required) for one in node[key]]
    if "oneOf" in node:  # without their required keys, the kinds of a union can no longer be told apart
        node["anyOf"] = node.pop("oneOf")
    if "prefixItems" in node:
        node["items"] = [_value(one, required) for one in node.pop("prefixItems")]
    elif isinstance(node.get("items"), dict):
        node["items"] = _value(node["items"], required)
    if isinstance(node.get("additionalProperties"), dict):
        node["additionalProperties"] = _value(node["additionalProperties"], required)
    if "properties" in node:
        node["properties"] = {key: _value(one, required) for key, one in node["properties"].items()}
    return node


def _value(node: Node, required: bool) -> Node:
    """A schema for a place in which a value stands."""
    inner = _rewritten(node, required)
    about: Node = {key: inner.pop(key) for key in ("description", "default") if key in inner}
    if not inner or inner == {"type": "string"}:
        return {**inner, **about}
    if set(inner) == {"anyOf"}:
        return {"anyOf": [*inner["anyOf"], {"$ref": _INTERPOLATION}], **about}
    return {"anyOf": [inner, {"$ref": _INTERPOLATION}], **about}


def _choice(node: Node, kind: str, required: bool) -> Node:
    """A bare name, or a mapping whose options are those of the name; names of plugins may have any."""
    names = list(BUILTINS[kind])
    name: Node = {"anyOf": [{"enum": names}, {"type": "string"}]}
    about: Node = {key: node.pop(key) for key in ("description",) if key in node}
    mapping = _rewritten(node, required)
    mapping["properties"]["name"] = name | {"description": f"A registered {kind}."}
    mapping["allOf"] = [
        {
            "if": {"properties": {"name": {"const": one}}, "required": ["name"]},
            "then": {"properties": {"options": _options(kind, one)}},
        }
        for one in names
    ]
    return {"anyOf": [*name["anyOf"], mapping], **about}


def _options(kind: str, name: str) -> Node:
    properties = {option.name: _option(option) for option in list_recipe_options(kind, name)}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _option(option: signatures.Option) -> Node:
    default = "" if option.default is None else f" Default: {option.default}."
    return {"description": f"{option.description}{default}".replace("``", "`")}
