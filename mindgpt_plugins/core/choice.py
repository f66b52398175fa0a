"""The one notation for a registered name with its options, wherever a recipe chooses something by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from mindgpt_plugins.core.schema import Strict

REGISTERED = "x-registered"
"""Key of a JSON schema that says of which kind a name is; whoever publishes the schema lists names and options."""


class Choice(Strict):
    """A registered name with its options: ``easy_to_hard`` or ``{name: easy_to_hard, options: {pacing: root}}``.

    A subclass says of which kind the name is, and may have keys of its own beside ``name`` and ``options``.
    """

    of: ClassVar[str]
    """Kind of the registry that the name belongs to."""
    key: ClassVar[str] = ""
    """Recipe key under which it is written, for messages; empty for an entry of a list."""

    name: str = Field(description="A registered name.")
    options: dict[str, Any] = Field(
        default_factory=dict, description="Options of what is named; what is not given keeps its default."
    )

    @model_validator(mode="before")
    @classmethod
    def _one_notation(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value}
        if not isinstance(value, Mapping):
            return value
        if "name" not in value and cls.model_fields["name"].is_required():
            raise ValueError(f"which {cls.of}? Write {cls._shown({'name': '<name>', **_moved(cls, value)})}")
        if any(key not in cls.known_keys() for key in value):
            raise ValueError(f"options lie under `options`; write {cls._shown(_moved(cls, value))}")
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler.resolve_ref_schema(handler(core)), REGISTERED: cls.of}

    @classmethod
    def known_keys(cls) -> set[str]:
        """The keys that a mapping may have, as a recipe spells them."""
        return {str(field.validation_alias or name) for name, field in cls.model_fields.items()}

    @classmethod
    def _shown(cls, value: Mapping[str, Any]) -> str:
        return f"{cls.key}: {format_flow_yaml(value)}" if cls.key else format_flow_yaml(value)

    def written(self) -> str | dict[str, Any]:
        """As it is written in YAML: the bare name where nothing else is set."""
        data = self.model_dump(mode="json", exclude_defaults=True)
        return self.name if set(data) <= {"name"} else {"name": self.name, **data}


def find_choices(model: BaseModel, place: str = "") -> Iterator[tuple[str, Choice]]:
    """Every choice in a config with its dotted place, nested models and lists included."""
    for name, field in type(model).model_fields.items():
        yield from _choices_in(getattr(model, name), f"{place}.{field.validation_alias or name}".lstrip("."))


def _choices_in(value: Any, place: str) -> Iterator[tuple[str, Choice]]:
    if isinstance(value, Choice):
        yield place, value
    if isinstance(value, BaseModel):
        yield from find_choices(value, place)
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _choices_in(one, f"{place}.{key}")
    elif isinstance(value, (list, tuple)):
        for number, one in enumerate(value):
            yield from _choices_in(one, f"{place}.{number}")


def refuse_options_beside(value: Any, choice: type[Choice], default: str) -> Any:
    """Refuse ``options`` beside the key that names what they belong to: they lie under that key.

    Args:
        value: a section as a recipe writes it.
        choice: what the section chooses.
        default: the name that stands when the section gives none.

    Raises:
        ValueError: showing the section's keys as they are to be written.
    """
    if isinstance(value, Mapping) and "options" in value:
        named = value.get(choice.key, default)
        chosen = dict(named) if isinstance(named, Mapping) else {"name": named}
        chosen["options"] = {**chosen.get("options", {}), **dict(value["options"] or {})}
        raise ValueError(f"options lie with the {choice.key}; write {choice.key}: {format_flow_yaml(chosen)}")
    return value


def format_flow_yaml(value: Any) -> str:
    """A value as YAML in one line: ``{name: easy_to_hard, options: {pacing: root}}``."""
    import yaml

    data = {"x": convert_plain_data(value)}
    text: str = yaml.safe_dump(data, default_flow_style=True, sort_keys=False, allow_unicode=True, width=1 << 20)
    return text.strip()[len("{x: ") : -1]


def convert_plain_data(value: Any) -> Any:
    """Mappings and sequences as ``dict`` and ``list``, so that YAML and JSON can write them."""
    if isinstance(value, Mapping):
        return {key: convert_plain_data(one) for key, one in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return [convert_plain_data(one) for one in value]
    return value


def _moved(choice: type[Choice], value: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping with every unknown key moved under ``options``."""
    known = choice.known_keys()
    own = {key: one for key, one in value.items() if key in known and key != "options"}
    options = value.get("options") or {}
    moved = {key: one for key, one in value.items() if key not in known}
    return {**own, "options": {**options, **moved}} if options or moved else own
