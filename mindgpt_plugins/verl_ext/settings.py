"""What our side of a verl run needs to know.

``trainer.v1.mindgpt_<mode>.settings`` holds it: the path of a YAML/JSON file, or an inline mapping.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from mindgpt_plugins.advantage.config import AdvantageConfig
from mindgpt_plugins.advantage.perception_config import PerceptionConfig
from mindgpt_plugins.core.files import write_json
from mindgpt_plugins.core.schema import Strict
from mindgpt_plugins.curriculum.config import CurriculumConfig
from mindgpt_plugins.rewards.suite import RewardConfig

Mode = Literal["sync", "colocate_async", "separate_async"]
GroupSizes = dict[float, Annotated[int, Field(ge=1)]]
"""Difficulty → replies for prompts of at least that difficulty."""
PREFIX = "mindgpt_"


class SettingsError(ValueError):
    """The settings are missing or wrong; the message says where and what to do."""


def trainer_name(mode: Mode) -> str:
    """Under which name verl knows our trainer of this mode."""
    return PREFIX + mode


def settings_key(mode: Mode) -> str:
    """Where verl's configuration holds our settings."""
    return f"trainer.v1.{trainer_name(mode)}.settings"


class Settings(Strict):
    """Everything about the run that is ours and not verl's."""

    rewards: dict[str, RewardConfig] = Field(min_length=1)
    advantage: AdvantageConfig = AdvantageConfig()
    curriculum: CurriculumConfig | None = Field(None, description="null: verl's own order (data.shuffle, data.seed).")
    perception: PerceptionConfig | None = Field(None, description="null: no masked-picture pass.")
    group_size_by_difficulty: GroupSizes = Field({}, description="Difficulty → replies from there on; else rollout.n.")
    plugins: tuple[str, ...] = ()
    seed: int = 0
    metrics_path: str | None = Field(None, description="JSONL with one line per step; appended to on resume.")
    loaded_path: str | None = Field(None, description="JSON written when our trainer and rewards are known to run.")
    poll_interval: float = Field(0.02, gt=0, description="Seconds between looks at the replay buffer; verl's own is 2.")


def load(config: Any) -> Settings:
    """Read the settings out of verl's configuration.

    Args:
        config: the whole Hydra configuration of the run.

    Raises:
        SettingsError: absent, not readable, or not valid.
    """
    from omegaconf import OmegaConf

    # The trainer renames the mode to verl's own name, which is what reward workers see.
    mode = str(config.trainer.v1.trainer_mode).removeprefix(PREFIX)
    key = settings_key(mode)  # type: ignore[arg-type]
    found = OmegaConf.select(config, key, default=None)
    if found is None:
        raise SettingsError(
            f"trainer_mode={PREFIX}{mode} needs rewards: pass +{key}=/path/to/settings.yaml, "
            "with at least `rewards: {accuracy: {weight: 1.0}}`"
        )
    if isinstance(found, str):
        return read(Path(found))
    return parse(OmegaConf.to_container(found, resolve=True), key)


def read(path: Path) -> Settings:
    """Read a settings file.

    Raises:
        SettingsError: the file is missing or not valid.
    """
    if not path.is_file():
        raise SettingsError(f"settings: {path} is not a file; give an absolute path, Ray workers run elsewhere")
    import yaml

    text = path.read_text(encoding="utf-8")
    return parse(json.loads(text) if path.suffix == ".json" else yaml.safe_load(text), str(path))


def parse(data: Any, where: str) -> Settings:
    """Validate a mapping.

    Raises:
        SettingsError: with every offending key.
    """
    from pydantic import ValidationError

    if not isinstance(data, Mapping):
        raise SettingsError(f"{where}: expected a mapping with `rewards:`, got {type(data).__name__}")
    try:
        return Settings.model_validate(dict(data))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise SettingsError(f"{where}: {problems}") from None


def write(settings: Settings, path: Path) -> None:
    """Write a settings file that :func:`read` accepts."""
    write_json(path, settings.model_dump(mode="json"))
