"""Loads data settings from YAML, a recipe's ``data`` stage and overrides, and names everything that does not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ValidationError

from mindgpt_data.config import DataSettings
from mindgpt_plugins.registry import nearest


class SettingsError(ValueError):
    """Settings that cannot be used; one line per problem."""


def load(config: Path | None, overrides: Sequence[str], given: Mapping[str, Any]) -> DataSettings:
    """Put settings together; paths in the file are taken from the file's folder.

    Raises:
        SettingsError: see the class.
    """
    data: dict[str, Any] = {}
    try:
        if config is not None:
            data = _section(config)
        merged = OmegaConf.merge(OmegaConf.create(data), OmegaConf.create(dict(given)))
        merged = OmegaConf.merge(merged, OmegaConf.from_dotlist(list(overrides)))
        plain = OmegaConf.to_container(merged, resolve=True)
    except (OmegaConfBaseException, OSError, ValueError) as error:
        raise SettingsError(f"{config or 'settings'} cannot be read: {error}") from None
    try:
        return DataSettings.model_validate(plain)
    except ValidationError as error:
        problems = [_problem(one, DataSettings) for one in error.errors()]
        raise SettingsError("\n".join([f"{config or 'settings'}: {len(problems)} problem(s)", *problems])) from None


def _section(path: Path) -> dict[str, Any]:
    data = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    if not isinstance(data, dict):
        raise SettingsError(f"{path} must hold keys, got {type(data).__name__}")
    if "stages" in data:
        stages = {n: s for n, s in data["stages"].items() if isinstance(s, dict) and s.get("kind") == "data"}
        if len(stages) != 1:
            raise SettingsError(f"{path} has {len(stages)} stages of kind data ({', '.join(stages)}); need exactly one")
        data = {k: v for k, v in next(iter(stages.values())).items() if k not in ("kind", "python", "seed", "engine")}
    images = data.get("images")
    if isinstance(images, dict) and isinstance(images.get("path"), str) and "${" not in images["path"]:
        images["path"] = str((path.parent / Path(images["path"]).expanduser()).resolve())
    return {str(key): value for key, value in data.items()}


def _problem(error: Any, model: type[BaseModel]) -> str:
    place = ".".join(map(str, error["loc"]))
    if error["type"] != "extra_forbidden":
        return f"  {place}: {error['msg']}"
    known: list[str] = []
    at: Any = model
    for part in error["loc"][:-1]:
        field = at.model_fields.get(part) if isinstance(at, type) and issubclass(at, BaseModel) else None
        at = field.annotation if field else None
    if isinstance(at, type) and issubclass(at, BaseModel):
        known = list(at.model_fields)
    return f"  {place}: unknown key{nearest(str(error['loc'][-1]), known)} Known: {', '.join(known)}"
