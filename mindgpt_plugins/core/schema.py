"""What every part of a recipe's schema shares: strict models and references to other stages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetCoreSchemaHandler, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema

from mindgpt_plugins.core.files import FileError, write_text
from mindgpt_plugins.core.number_schema import guard_numbers

_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"


def _check_variable_name(name: str) -> str:
    if not re.fullmatch(_VARIABLE, name):
        raise ValueError(f"{name!r} cannot be the name of an environment variable: letters, digits and _ only")
    return name


VariableName = Annotated[str, AfterValidator(_check_variable_name), Field(json_schema_extra={"pattern": _VARIABLE})]
"""Name of an environment variable, never its value."""


@dataclass(frozen=True)
class Reference:
    """Marks a string field that names a file, a folder or a stage.

    Attributes:
        to: ``model``, ``dataset``, ``path``, ``pictures`` or an artefact. ``branches`` may be an earlier stage or a
            file, any other artefact (``scores``) only an earlier stage.
        but: a value that names none of these, e.g. ``builtin``.
    """

    to: str
    but: str | None = None


ModelRef = Annotated[str, Reference("model")]
"""A stage that produced a model (``base``), a local folder (``./ckpt``) or a hub id (``Qwen/Qwen3-VL-4B-Instruct``)."""

DatasetRef = Annotated[str, Reference("dataset")]
"""``<stage>/<set>`` or ``<folder>/<set>``, where the folder holds a ``dataset_info.json`` that lists the set."""

PathRef = Annotated[str, Reference("path")]
"""A local file, or a folder that is read whole, relative to the recipe."""

PicturesRef = Annotated[str, Reference("pictures")]
"""A folder of pictures, or a file that names some (a manifest), relative to the recipe."""

OUTSIDE = ("path", "pictures")
"""Kinds of references that never name a stage."""


@dataclass(frozen=True)
class Unhashed:
    """The type of :data:`HOW`."""


HOW = Unhashed()
"""Marks a field that says how a stage runs, not what it computes: ``timeout: Annotated[float, HOW] = Field(…)``.

It is no part of the stage's hash, so that a stage goes on, and is reused, when it is changed. Only what cannot change a
result is marked: not the number of data-parallel ranks, which decides who sees which sample.
"""


Seed = Annotated[int, Field(ge=0, lt=1 << 32)]
"""A seed as NumPy and torch take it."""


class Strict(BaseModel):
    """Refuses unknown keys (the loader adds the nearest known one), values of another type, and inf and nan.

    Those pass every ``gt=0`` and end as weights of nan, or in a traceback far from the recipe.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return guard_numbers(handler(source))


class StageConfig(Strict):
    """Keys every stage accepts. A stage kind subclasses this in ``stages/<kind>/config.py``."""

    kind: str
    python: Annotated[str | None, HOW] = Field(
        None,
        description="Interpreter of this stage, e.g. env/verl/bin/python. Default: that of the stage's side "
        "in `launch`.",
    )
    seed: Seed | None = Field(None, description="Seed of this stage. Default: the recipe's.")

    def references(self) -> Iterator[tuple[str, str]]:
        """Yield ``(to, value)`` of every :class:`Reference` field, nested models and lists included."""
        for _, to, value in self.located_references():
            yield to, value

    def located_references(self) -> Iterator[tuple[str, str, str]]:
        """Yield ``(key, to, value)`` of every :class:`Reference` field, its dotted key as a recipe writes it."""
        yield from _references(self, "")


ModelT = TypeVar("ModelT", bound=BaseModel)


def dump_hashed(model: BaseModel, include: set[str] | None = None) -> dict[str, Any]:
    """A config as plain JSON data without its fields, and those of models in it, that are marked :data:`HOW`."""
    return _without_how(model, model.model_dump(mode="json", include=include))  # type: ignore[no-any-return]


def _without_how(value: Any, dumped: Any) -> Any:
    if isinstance(value, BaseModel) and isinstance(dumped, dict):
        fields = type(value).model_fields
        return {
            key: _without_how(getattr(value, key, None), one)
            for key, one in dumped.items()
            if key not in fields or HOW not in fields[key].metadata
        }
    if isinstance(value, dict) and isinstance(dumped, dict):
        return {key: _without_how(value.get(key), one) for key, one in dumped.items()}
    if isinstance(value, (list, tuple)) and isinstance(dumped, list):
        return [_without_how(one, two) for one, two in zip(value, dumped, strict=True)]
    return dumped


def resolve_config(config: StageConfig, job: type[ModelT], **resolved: Any) -> ModelT:
    """The settings that a stage hands to its process.

    Args:
        config: the stage's, from the recipe.
        job: the model of the process; every field that ``config`` has under the same name is taken over.
        resolved: the other fields, and paths in place of references.
    """
    shared = config.model_dump(include=set(job.model_fields) - set(resolved))
    return job.model_validate({**shared, **resolved})


def write_model(path: Path, model: BaseModel) -> None:
    """Write a validated model as JSON, for another process to read with :func:`read_model`."""
    write_text(path, model.model_dump_json(indent=1) + "\n")


def read_model(path: Path, kind: type[ModelT]) -> ModelT:
    """Read what :func:`write_model` wrote.

    Raises:
        FileError: it is empty or no JSON of this model, e.g. written by another release.
    """
    content = path.read_bytes()
    if not content.strip():
        raise FileError(f"{path} is empty")
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise FileError(f"{path} is no {kind.__name__}: {f'{place}: ' if place else ''}{first['msg']}") from None


def find_reference_kind(field: FieldInfo) -> str | None:
    """What the strings of a field name (:class:`Reference`), or None when they are plain."""
    found = _reference(field)
    return None if found is None else found.to


def _reference(field: FieldInfo) -> Reference | None:
    # Annotated inside list[...] or dict[str, ...] keeps its mark in the annotation's arguments.
    inner = [m for a in _arguments(field.annotation) for m in getattr(a, "__metadata__", ())]
    return next((m for m in [*field.metadata, *inner] if isinstance(m, Reference)), None)


def rename_references(model: Any, names: dict[str, str]) -> Any:
    """A config whose references to some stages are replaced by references to others."""
    changes = {}
    for key, field in type(model).model_fields.items():
        value = getattr(model, key)
        new = _renamed_value(value, find_reference_kind(field), names)
        if new != value:
            changes[key] = new
    return model.model_copy(update=changes)


def _renamed_value(value: Any, to: str | None, names: dict[str, str]) -> Any:
    if isinstance(value, BaseModel):
        return rename_references(value, names)
    if isinstance(value, dict):
        return {key: _renamed_value(one, to, names) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_renamed_value(one, to, names) for one in value)
    if to is not None and isinstance(value, str):
        head = value.rpartition("/")[0] if to == "dataset" else value
        return names[head] + value[len(head) :] if head in names else value
    return value


def _references(model: BaseModel, place: str) -> Iterator[tuple[str, str, str]]:
    for name, field in type(model).model_fields.items():
        found = _reference(field)
        for key, leaf in _leaves(getattr(model, name), f"{place}.{field.validation_alias or name}".lstrip(".")):
            if isinstance(leaf, BaseModel):
                yield from _references(leaf, key)
            elif isinstance(leaf, str) and found is not None and leaf != found.but:
                yield key, found.to, leaf


def _arguments(annotation: Any) -> Iterator[Any]:
    for argument in getattr(annotation, "__args__", ()):
        yield argument
        yield from _arguments(argument)


def _leaves(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _leaves(one, f"{place}.{key}")
    elif isinstance(value, (list, tuple)):
        for number, one in enumerate(value):
            yield from _leaves(one, f"{place}.{number}")
    elif value is not None:
        yield place, value
