"""Asks LLaMA-Factory itself whether it takes the keys and values of a stage.

The host reads YAML into dataclasses without looking at types (``HfArgumentParser.parse_dict``), so that
``freeze_vision_tower: maybe`` is true to it. Here every value is first held against its field's annotation; then the
host's own ``get_train_args`` runs, with what depends on the machine taken out.
"""

from __future__ import annotations

import os
import types
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from mindgpt_plugins.core.registry import hint_nearest
from mindgpt_plugins.llamafactory_ext.template_choice import AUTO, OWN

MOST = 12
"""Allowed values that a message lists at most."""
#: Whether these work is up to the machine that trains, not to the one that checks.
_OF_THE_MACHINE = ("bf16", "fp16", "tf32", "pure_bf16", "deepspeed", "fsdp", "fsdp_config", "torch_compile")


def find_setting_problems(text: str, keys: Sequence[str]) -> list[tuple[str, str]]:
    """What the host would refuse in a rendered config.

    Args:
        text: the YAML of a training, without a ``mindgpt:`` section.
        keys: which of its keys to judge; the others come from a recipe's own, checked keys.

    Returns:
        (key, what is wrong); the key is empty where the host does not say which.
    """
    from omegaconf import OmegaConf

    read = OmegaConf.to_container(OmegaConf.create(text))  # as the host reads it: `1e-3` is a number to it
    assert isinstance(read, dict)
    values: dict[str, Any] = {str(key): value for key, value in read.items()}
    hints, choices = _fields()
    found = [(key, fault) for key in keys if (fault := _find_fault(key, values, hints, choices)) is not None]
    return found or _parse(values)


def describe_misfit(value: Any, hint: Any, choices: Iterable[Any] | None = None) -> str | None:
    """Why a value does not fit a field, or ``None``.

    Args:
        value: as YAML gives it.
        hint: the field's annotation.
        choices: values that the host's command line allows, for fields whose annotation says ``str`` beside an enum.
    """
    if value is None:
        return None  # the host takes it everywhere, and where it means something depends on the field
    kinds = _alternatives(hint)
    if choices is not None and not isinstance(value, (list, dict)):
        allowed = [one.value if isinstance(one, Enum) else one for one in choices]
        if value in allowed:
            return None
        few = ", ".join([*map(str, allowed[:MOST]), *(["…"] if len(allowed) > MOST else [])])
        return f"must be one of {few}, got {_shown(value)}{hint_nearest(str(value), map(str, allowed))}"
    if any(_fits(value, kind) for kind in kinds):
        return None
    return f"must be {' or '.join(dict.fromkeys(map(_name, kinds)))}, got {_shown(value)}"


def _fields() -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Annotation and allowed values of every field that the host's training parser knows."""
    from dataclasses import fields

    from llamafactory.hparams.parser import _TRAIN_ARGS
    from transformers import HfArgumentParser

    hints: dict[str, Any] = {}
    for one in _TRAIN_ARGS:
        known = get_type_hints(one)
        hints |= {field.name: known[field.name] for field in fields(one) if field.init}
    actions = HfArgumentParser(_TRAIN_ARGS)._actions
    return hints, {action.dest: list(action.choices) for action in actions if action.choices is not None}


def _find_fault(
    key: str, values: Mapping[str, Any], hints: Mapping[str, Any], choices: Mapping[str, list[Any]]
) -> str | None:
    if key not in hints:
        return f"LLaMA-Factory has no such key{hint_nearest(key, hints)}"
    if key == "template" and values[key] not in (None, AUTO, OWN):
        from llamafactory.data.template import TEMPLATES

        if values[key] not in TEMPLATES:
            return f"LLaMA-Factory has no template {values[key]!r}{hint_nearest(str(values[key]), TEMPLATES)}"
    return describe_misfit(values[key], hints[key], choices.get(key))


def _parse(values: dict[str, Any]) -> list[tuple[str, str]]:
    """What the host's own checks say."""
    from llamafactory.hparams.parser import get_train_args

    kept = {key: value for key, value in values.items() if key not in _OF_THE_MACHINE}
    # A folder that is not there: whether the real one may be trained into is the run's business.
    kept |= {"use_cpu": True, "output_dir": os.path.join(os.sep, "nonexistent", "mindgpt"), "report_to": "none"}
    try:
        get_train_args(kept)
    except ImportError:
        return []  # of optional packages: what is to be installed where it trains
    except Exception as error:  # the host raises whatever comes to hand: ValueError, AssertionError, TypeError …
        return [("", f"LLaMA-Factory refuses the settings: {' '.join(str(error).split()) or type(error).__name__}")]
    return []


def _alternatives(hint: Any) -> list[Any]:
    if get_origin(hint) in (Union, types.UnionType):
        return [one for part in get_args(hint) for one in _alternatives(part)]
    return [hint]


def _fits(value: Any, kind: Any) -> bool:
    origin = get_origin(kind) or kind
    if origin is Any:
        return True
    if origin is Literal:
        return value in get_args(kind)
    if origin is type(None):
        return value is None
    if origin is bool:
        return isinstance(value, bool)
    if origin is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if origin is str:
        return isinstance(value, (str, int, float)) and not isinstance(value, bool)  # a name may be a number in YAML
    if origin in (list, tuple):
        inner = [one for part in get_args(kind) if part is not Ellipsis for one in _alternatives(part)]
        return isinstance(value, list) and all(not inner or any(_fits(one, part) for part in inner) for one in value)
    if origin is dict:
        return isinstance(value, dict)
    if isinstance(origin, type) and issubclass(origin, Enum):
        return value in [one.value for one in origin]
    return True  # a type that YAML cannot give: the host's own parser decides


def _name(kind: Any) -> str:
    origin = get_origin(kind) or kind
    if origin is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    if isinstance(origin, type) and issubclass(origin, Enum):
        return f"one of {', '.join(str(one.value) for one in origin)}"
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text", list: "a list"}
    return {**names, dict: "a mapping", type(None): "null"}.get(origin, str(kind))


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)
