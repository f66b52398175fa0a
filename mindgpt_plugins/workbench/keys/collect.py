"""Walks the schemas and names every key with its type, default and description."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types as at
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from mindgpt_plugins.core import registry, signatures
from mindgpt_plugins.core.choice import Choice, convert_plain_data, format_flow_yaml
from mindgpt_plugins.core.schedule import Constant, Piecewise, Ramp
from mindgpt_plugins.core.schema import Reference

FILLED = {"advantage": ("k", "lam"), "allocator": ("n_min", "n_max", "gamma", "weights", "seed")}
"""Options that a run fills in from keys of its own: they are no options of a recipe."""
SCHEDULES = (Constant, Ramp, Piecewise)
_REFERENCES = {
    "model": "model: a stage, a folder or a hub id",
    "dataset": "data set: <stage>/<set> or <folder>/<set>",
    "path": "path, from the recipe's folder",
    "pictures": "path, from the recipe's folder",
    "scores": "evaluate or benchmark stage",
    "branches": "evaluate stage, or a branches.json",
}
_PLAIN = {str: "text", SecretStr: "text", int: "whole number", float: "number", bool: "true or false", Any: "anything"}


@dataclass(frozen=True)
class Key:
    """One key."""

    place: str
    """Dotted path in its section; ``[]`` is each entry of a list, ``<name>`` a name that the recipe chooses."""
    type: str
    default: str | None
    """As YAML in one line; None where the key must be given."""
    description: str
    of: str = ""
    """For an option: the registered name that takes it, ``sampler easy_to_hard``."""

    def fits(self, word: str) -> bool:
        """Does a word occur in it, whatever the case?"""
        return word.casefold() in " ".join(map(str, asdict(self).values())).casefold()


@dataclass(frozen=True)
class KeySection:
    """The keys of one stage kind, of the recipe's head or of another settings file."""

    name: str
    about: str
    keys: list[Key] = field(default_factory=list)


def list_section_names() -> list[str]:
    """What :func:`collect_section` knows: ``recipe``, every stage kind, then what is written outside of recipes."""
    return ["recipe", *registry.list_registered_names("stage"), "mindgpt", "verl", "schedule"]


def collect_section(name: str) -> KeySection:
    """One section.

    Raises:
        RegistryError: there is none of that name.
        PluginError: a plugin's stage cannot be imported.
    """
    if name == "recipe":
        from mindgpt_plugins.recipe.schema import RecipeHead

        return KeySection(name, "The head of a recipe: everything but its stages.", [*_HEAD, *collect_keys(RecipeHead)])
    if name == "mindgpt":
        from mindgpt_plugins.llamafactory_ext.settings import Section as Settings

        return KeySection(
            name, "The section `mindgpt:` of a LLaMA-Factory YAML of your own.", [*collect_keys(Settings)]
        )
    if name == "verl":
        from mindgpt_plugins.verl_ext.settings import VerlSettings

        about = "The file (or mapping) at `trainer.v1.mindgpt_<mode>.settings` of a verl run of your own."
        return KeySection(name, about, [*collect_keys(VerlSettings)])
    if name == "schedule":
        about = (
            "A number that changes over the run, wherever a key's type says `schedule`; a plain number never changes."
        )
        return KeySection(name, about, [key for kind in SCHEDULES for key in _of_schedule(kind)])
    if name not in registry.list_registered_names("stage"):
        known = list_section_names()
        raise registry.RegistryError(
            f"there are no keys of {name!r}{registry.hint_nearest(name, known)} Known: {', '.join(known)}."
        )
    config = registry.get_registered("stage", name).Config
    return KeySection(name, read_schema_summary(config), [*collect_keys(config)])


_HEAD = [
    Key("extends", "recipe: a file next to this one, or a shipped name", "null", "Recipe that this one is laid over."),
    Key(
        "stages.<name>",
        "mapping",
        None,
        "One stage, run in the order of the file and referred to by its name. `kind` says what it does, and with it "
        "which further keys it has; null drops a stage of the recipe that is extended.",
    ),
]


def collect_keys(model: type[BaseModel], place: str = "") -> Iterator[Key]:
    """Every key of a schema, nested ones below the key that holds them."""
    for name, info in model.model_fields.items():
        here = f"{place}.{info.validation_alias or name}".lstrip(".")
        nested = [*_nested(info.annotation)]
        about = info.description or (read_schema_summary(nested[0][1]) if nested else "")
        if name == "kind" and not about:
            about = read_schema_summary(model)
        yield Key(here, describe_field_type(info), format_field_default(info), about)
        for suffix, inner in nested:
            if issubclass(inner, Choice):
                yield from _keys_of_choice(inner, here + suffix)
            else:
                yield from collect_keys(inner, here + suffix)
    kind = getattr(model, "of", "")
    if kind and not issubclass(model, Choice):
        yield from _options(kind, place)


def _keys_of_choice(choice: type[Choice], place: str) -> Iterator[Key]:
    yield from (key for key in collect_keys(choice, place) if key.place not in (f"{place}.name", f"{place}.options"))
    yield from _options(choice.of, place)


def _options(kind: str, place: str) -> Iterator[Key]:
    for name in registry.list_registered_names(kind):
        for option in list_recipe_options(kind, name):
            default = None if option.default is None else format_default_yaml(option.default)
            told = option.description.replace("``", "`")
            about = told[:1].upper() + told[1:]
            yield Key(f"{place}.options.{option.name}", option.type, default, about, f"{kind} {name}")


def list_recipe_options(kind: str, name: str) -> list[signatures.Option]:
    """The options that a recipe gives a registered name; those that a run fills in are left out."""
    return [
        one for one in signatures.describe_registered_name(kind, name).options if one.name not in FILLED.get(kind, ())
    ]


def format_default_yaml(source: str) -> str:
    """A default of a Python signature as a recipe would write it, or as it stands where it is no literal."""
    import ast

    try:
        return format_flow_yaml(ast.literal_eval(source))
    except (ValueError, SyntaxError):
        return source


def _of_schedule(kind: type[BaseModel]) -> Iterator[Key]:
    for key in collect_keys(kind):
        yield Key(key.place, key.type, key.default, key.description, f"schedule {kind.__name__}")


def read_schema_summary(model: type[BaseModel]) -> str:
    """First paragraph of a schema's docstring."""
    text = (model.__doc__ or "").strip().split("\n\n")[0]
    return " ".join(text.split()).replace("``", "`")


def describe_field_type(info: FieldInfo) -> str:
    """A field's type in words, with its bounds: ``whole number ≥ 1, or null``."""
    for mark in info.metadata:
        if isinstance(mark, Reference):
            return _REFERENCES[mark.to]
    text = _in_words(info.annotation)
    bounds = " and ".join(word for mark in info.metadata if (word := _bound(mark)))
    if not bounds:
        return text
    head, found, tail = text.rpartition(", or null")
    return f"{head or tail} {bounds}{found}"


def _bound(mark: Any) -> str:
    for kind, sign in ((at.Ge, "≥"), (at.Gt, ">"), (at.Le, "≤"), (at.Lt, "<")):
        if isinstance(mark, kind):
            return f"{sign} {getattr(mark, kind.__name__.lower()):g}"
    if isinstance(mark, at.MultipleOf):
        return f"divisible by {mark.multiple_of:g}"
    if isinstance(mark, at.MinLen):
        return "not empty" if mark.min_length == 1 else f"of at least {mark.min_length}"
    return ""


def _in_words(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if origin is Annotated:
        for mark in arguments[1:]:
            if isinstance(mark, Reference):
                return _REFERENCES[mark.to]
        text = _in_words(arguments[0])
        marks = [m for one in arguments[1:] for m in (one.metadata if isinstance(one, FieldInfo) else [one])]
        return " ".join([text, " and ".join(word for mark in marks if (word := _bound(mark)))]).strip()
    if origin is Literal:
        return " | ".join(one if isinstance(one, str) else format_flow_yaml(one) for one in arguments)
    if origin in (Union, types.UnionType):
        return _alternatives(arguments)
    if origin is tuple and len(arguments) > 1 and arguments[1] is not Ellipsis:
        return f"[{', '.join(map(_in_words, arguments))}]"
    if origin in (list, tuple):
        return f"list of: {_in_words(arguments[0])}"
    if origin is dict:
        return f"mapping of {_in_words(arguments[0])} to {_in_words(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, Choice):
        return f"{annotation.of}: a name, or {{name, options}}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "mapping"
    return str(getattr(annotation, "__name__", annotation))


def _alternatives(arguments: tuple[Any, ...]) -> str:
    words = []
    for one in arguments:
        flat = get_args(one)[0] if get_origin(one) is Annotated else one
        members = get_args(flat) if get_origin(flat) in (Union, types.UnionType) else (flat,)
        if all(member in SCHEDULES for member in members):
            words += ["schedule"] if "schedule" not in words else []
        elif one is not type(None):
            words.append(_in_words(one))
    return " or ".join(dict.fromkeys(words)) + (", or null" if type(None) in arguments else "")


def format_field_default(info: FieldInfo) -> str | None:
    """A field's default as YAML in one line; None where it must be given."""
    if info.is_required():
        return None
    value = info.get_default(call_default_factory=True)
    if isinstance(value, Choice):
        return format_flow_yaml(value.written())
    if isinstance(value, (list, tuple)) and value and all(isinstance(one, Choice) for one in value):
        return format_flow_yaml([one.written() for one in value])
    if isinstance(value, SCHEDULES):
        return format_flow_yaml(value.model_dump(mode="json", exclude_defaults=True))
    if isinstance(value, BaseModel):
        return "{}"
    return format_flow_yaml(_dumped(value))


def _dumped(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_defaults=True)
    if isinstance(value, dict):
        return {key: _dumped(one) for key, one in value.items()}
    return convert_plain_data(value)


def _nested(annotation: Any) -> Iterator[tuple[str, type[BaseModel]]]:
    """Schemas below a field, each with what stands between: ``[]`` for lists, ``.<name>`` for mappings."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation not in SCHEDULES:
            yield "", annotation
    elif origin in (list, tuple):
        for suffix, model in _nested(arguments[0]):
            yield f"[]{suffix}", model
    elif origin is dict:
        for suffix, model in _nested(arguments[1]):
            yield f".<name>{suffix}", model
    elif origin is Annotated:
        yield from _nested(arguments[0])
    elif origin in (Union, types.UnionType):
        for one in arguments:
            yield from _nested(one)
