"""What every part of a recipe's schema shares: strict models and references to other stages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo


@dataclass(frozen=True)
class Reference:
    """Marks a string field that names a file, a folder or a stage: ``model``, ``dataset``, ``path`` or an artefact.

    ``branches`` may be an earlier stage or a file, any other artefact (``scores``) only an earlier stage.
    """

    to: str


ModelRef = Annotated[str, Reference("model")]
"""A stage that produced a model (``base``), a local folder (``./ckpt``) or a hub id (``Qwen/Qwen3-VL-4B-Instruct``)."""

DatasetRef = Annotated[str, Reference("dataset")]
"""``<stage>/<set>`` or ``<folder>/<set>``, where the folder holds a ``dataset_info.json`` that lists the set."""

PathRef = Annotated[str, Reference("path")]
"""A local folder, or a file in one (a manifest), relative to the recipe; the folder's stamp is part of the hash."""


class Strict(BaseModel):
    """Refuses unknown keys (the loader adds the nearest known one) and values of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class StageConfig(Strict):
    """Keys every stage accepts. A stage kind subclasses this in ``recipe/<kind>.py``."""

    kind: str
    python: str | None = Field(None, description="Interpreter for this stage, e.g. env/verl/bin/python.")
    seed: int | None = Field(None, description="Overrides the recipe's seed for this stage.")

    def references(self) -> Iterator[tuple[str, str]]:
        """Yield ``(to, value)`` of every :class:`Reference` field, nested models and lists included."""
        yield from _references(self)


def reference_of(field: FieldInfo) -> str | None:
    """What the strings of a field name (:class:`Reference`), or None when they are plain."""
    # Annotated inside list[...] or dict[str, ...] keeps its mark in the annotation's arguments.
    inner = [m for a in _arguments(field.annotation) for m in getattr(a, "__metadata__", ())]
    return next((m.to for m in [*field.metadata, *inner] if isinstance(m, Reference)), None)


def _references(model: BaseModel) -> Iterator[tuple[str, str]]:
    for name, field in type(model).model_fields.items():
        to = reference_of(field)
        for leaf in _leaves(getattr(model, name)):
            if isinstance(leaf, BaseModel):
                yield from _references(leaf)
            elif isinstance(leaf, str) and to is not None:
                yield to, leaf


def _arguments(annotation: Any) -> Iterator[Any]:
    for argument in getattr(annotation, "__args__", ()):
        yield argument
        yield from _arguments(argument)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(item)
    elif value is not None:
        yield value
