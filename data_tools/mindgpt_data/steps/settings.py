"""Loads data settings from YAML, a recipe's ``data`` stage and overrides, and names everything that does not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError
from yaml import YAMLError

from mindgpt_data.schema.config import DataSettings
from mindgpt_plugins.core.errors import InputError
from mindgpt_plugins.core.overrides import apply_overrides, describe_errors, resolve_settings, shorten_error
from mindgpt_plugins.core.yaml_limits import read_yaml_mapping


class SettingsError(ValueError):
    """Settings that cannot be used; one line per problem."""


def load_data_settings(config: Path | None, overrides: Sequence[str], given: Mapping[str, Any]) -> DataSettings:
    """Put settings together; relative ``images.path``, ``filter.against``, ``focus.file`` start from the file's folder.

    Args:
        config: YAML with the keys of :class:`DataSettings`, or a recipe with exactly one ``data`` stage.
        overrides: ``dotted.key=value``.
        given: sections a verb sets itself; overrides win over them.

    Raises:
        SettingsError: see the class.
    """
    where = str(config or "settings")
    try:
        base = OmegaConf.create(_section(config) if config else {})
        merged = OmegaConf.merge(base, OmegaConf.create(dict(given)))
        assert isinstance(merged, DictConfig)
        merged = apply_overrides(merged, overrides)
    except (OmegaConfBaseException, YAMLError, InputError, OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{where} cannot be read: {shorten_error(error)}") from None
    except ValueError as error:
        raise SettingsError(str(error)) from None
    try:
        plain = resolve_settings(merged)
    except ValueError as error:
        raise SettingsError("\n".join(f"{where}: {line}" for line in str(error).splitlines())) from None
    try:
        return DataSettings.model_validate(plain)
    except ValidationError as error:
        raise SettingsError("\n".join(f"{where}: {line}" for line in describe_errors(error, DataSettings))) from None


def _section(path: Path) -> dict[str, Any]:
    data = OmegaConf.to_container(read_yaml_mapping(path))
    assert isinstance(data, dict)
    if "stages" in data:
        stages = [s for s in data["stages"].values() if isinstance(s, dict) and s.get("kind") == "data"]
        if len(stages) != 1:
            raise SettingsError(f"{path} has {len(stages)} stages of kind data; this needs exactly one")
        data = {key: value for key, value in stages[0].items() if key in DataSettings.model_fields}
    images, against, focus = data.get("images"), (data.get("filter") or {}).get("against"), data.get("focus")
    if isinstance(focus, str):
        data["focus"] = focus = {"file": focus}
    if isinstance(focus, dict) and isinstance(focus.get("file"), str):
        focus["file"] = _from(path.parent, focus["file"])
    if isinstance(images, dict) and isinstance(images.get("path"), str):
        images["path"] = _from(path.parent, images["path"])
    if isinstance(against, list):
        data["filter"]["against"] = [_from(path.parent, value) for value in against]
    return {str(key): value for key, value in data.items()}


def _from(folder: Path, value: str) -> str:
    return str((folder / Path(value).expanduser()).resolve())
