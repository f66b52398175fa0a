"""``key=value`` laid over settings, and what is wrong with settings in one line per fault."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ValidationError
from yaml import YAMLError

from mindgpt_plugins.core.errors import InputError
from mindgpt_plugins.core.names import shorten_text
from mindgpt_plugins.core.registry import hint_nearest
from mindgpt_plugins.core.secrets import find_secret_literals, mask_secrets
from mindgpt_plugins.core.yaml_limits import check_interpolations, check_yaml_text

_REFERENCE = re.compile(r"\$\{\s*[\w.\[\]-]+\s*\}")
"""``${seed}``: another key of the same file, the only thing that a value may refer to."""
_OPENED = re.compile(r"(?<!\\)(?:\\\\)*\$\{")
"""``${`` that OmegaConf acts on, as it is not escaped."""
_FOR_A_HOST = re.compile(r"\$\{\s*oc\.")


def apply_overrides(tree: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """Lay ``key=value`` over a tree; keys are dotted, lists by number: ``endpoints.teacher.0.model=big``.

    Raises:
        ValueError: naming the override that does not fit.
    """
    merged = OmegaConf.create(tree)
    for one in overrides:
        key, equals, _ = one.partition("=")
        if not equals:
            raise ValueError(f"override {mask_secrets(one)!r} is not of the form key=value")
        try:
            check_yaml_text(one[len(key) + 1 :])
            value = OmegaConf.select(OmegaConf.from_dotlist([f"value={one[len(key) + 1 :]}"]), "value")
            _spell_out(merged, key)
            OmegaConf.update(merged, key, value, force_add=True)
        except (OmegaConfBaseException, YAMLError, ValueError, IndexError) as error:
            raise ValueError(f"override {mask_secrets(one)!r} does not fit: {shorten_error(error)}") from None
    return merged


def resolve_settings(tree: DictConfig) -> dict[str, Any]:
    """Plain data in which references to other keys are replaced by their values; resolvers and secrets are refused.

    OmegaConf's resolvers reach out of the file: ``${oc.env:NAME}`` would let a recipe of somebody else's read any
    variable into an address or a page. None is allowed, not for a host either, which would resolve it and print it.

    Raises:
        ValueError: one line per fault; it holds no secret.
    """
    raw = OmegaConf.to_container(tree, resolve=False)
    faults = [line for place, text in _texts(raw) if (line := _find_resolver(place, text))]
    if faults:
        raise ValueError("\n".join(faults))
    try:
        check_interpolations(raw)
        data = OmegaConf.to_container(tree, resolve=True)
    except (OmegaConfBaseException, YAMLError, InputError) as error:
        raise ValueError(shorten_error(error)) from None
    faults = [
        *(_refuse_resolver(place, text) for place, text in _texts(data) if _FOR_A_HOST.search(text)),
        *find_secret_literals(data),
    ]
    if faults:
        raise ValueError("\n".join(faults))
    assert isinstance(data, dict)
    return {str(key): value for key, value in data.items()}


def _find_resolver(place: str, text: str) -> str | None:
    return _refuse_resolver(place, text) if _OPENED.search(_REFERENCE.sub("", text)) else None


def _refuse_resolver(place: str, text: str) -> str:
    return (
        f"{place}: {mask_secrets(text)!r} reaches out of the file; ${{…}} may only name another key, as in ${{seed}}. "
        "Of a key or token name the variable: api_key_env of an endpoint, or launch: {<side>: {env_from: [NAME]}}; "
        f'give other values on the command line: {place}="$NAME"'
    )


def _texts(data: Any, place: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield from _texts(value, f"{place}.{key}".lstrip("."))
    elif isinstance(data, list):
        for number, value in enumerate(data):
            yield from _texts(value, f"{place}.{number}")
    elif isinstance(data, str):
        yield place, data


def _spell_out(tree: DictConfig, key: str) -> None:
    """Where a key goes on below a bare name (``curriculum.options.pacing``), write the name as a mapping first."""
    for below in (".options.", ".name"):
        place, found, _ = key.partition(below)
        if found and isinstance(name := OmegaConf.select(tree, place), str):
            OmegaConf.update(tree, place, {"name": name})


def describe_errors(
    error: ValidationError, schema: type[BaseModel], place: str = "", known_extra: Sequence[str] = ()
) -> list[str]:
    """One line per pydantic error: the key's place, what is wrong with its value, and the nearest known key."""
    lines = []
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"])
        full = f"{place}.{where}".strip(".")
        if item["type"] == "extra_forbidden":
            known = [*_fields_at(schema, item["loc"][:-1]), *known_extra]
            key = shorten_text(str(item["loc"][-1]))
            lines.append(f"{shorten_text(full)}: unknown key {key!r}{hint_nearest(key, known)}")
            if known:
                lines[-1] += f" Known: {', '.join(known)}."
        elif item["type"] == "missing":
            lines.append(f"{full}: required key is missing")
        else:
            said = item["msg"].removeprefix("Value error, ")
            lines.append(f"{shorten_text(full)}: {said} (got {shorten_text(mask_secrets(repr(item['input'])))})")
    return lines


def _fields_at(schema: Any, location: Sequence[int | str]) -> list[str]:
    """Field names of the model that an error's location points into."""
    for part in location:
        schema = _descend(schema, part)
        if schema is None:
            return []
    models = [m for m in _models(schema)]
    return [str(field.validation_alias or name) for name, field in models[0].model_fields.items()] if models else []


def _descend(schema: Any, part: int | str) -> Any:
    for model in _models(schema):
        for name, field in model.model_fields.items():
            if part == (field.validation_alias or name):
                return field.annotation
    # list[X] / dict[str, X]: an index or a key leads to X
    arguments = [a for a in get_args(schema) if a is not type(None)]
    return arguments[-1] if arguments else None


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if getattr(annotation, "__origin__", None) in (list, dict, tuple, Mapping):
        return []
    return [m for a in get_args(annotation) for m in _models(a)]


def shorten_error(error: BaseException) -> str:
    """The error in one line of at most 300 characters, without what looks like a key."""
    return mask_secrets(" ".join(str(error).split()))[:300]
