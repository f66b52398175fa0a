"""What our side of a verl run needs to know.

``trainer.v1.mindgpt_<mode>.settings`` holds it: the path of a YAML/JSON file, or an inline mapping.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from mindgpt_plugins.advantage.config import AdvantageConfig
from mindgpt_plugins.advantage.perception_config import PerceptionConfig
from mindgpt_plugins.core.choice import format_flow_yaml
from mindgpt_plugins.core.files import read_json, write_json
from mindgpt_plugins.core.schema import HOW, Strict
from mindgpt_plugins.curriculum.config import MixtureChoice, SamplerChoice
from mindgpt_plugins.families.pictures import PixelLimits
from mindgpt_plugins.guards.config import RolloutGuard
from mindgpt_plugins.rewards.suite import RewardConfig

Mode = Literal["sync", "colocate_async", "separate_async"]
GroupSizes = dict[float, Annotated[int, Field(ge=1)]]
"""Difficulty → replies for prompts of at least that difficulty."""
PREFIX = "mindgpt_"


class VerlSettingsError(ValueError):
    """The settings are missing or wrong; the message says where and what to do."""


def find_trainer_name(mode: Mode) -> str:
    """Under which name verl knows our trainer of this mode."""
    return PREFIX + mode


def find_settings_key(mode: Mode) -> str:
    """Where verl's configuration holds our settings."""
    return f"trainer.v1.{find_trainer_name(mode)}.settings"


class HybridSettings(Strict):
    """What a recipe's ``rl`` stage and a verl run of one's own both say about rewards, advantages and prompts."""

    rewards: dict[str, RewardConfig] = Field(
        {"accuracy": RewardConfig(weight=1.0), "format": RewardConfig(weight=1.0)},
        min_length=1,
        description="Reward name → its weight, options and conditions; docs/rewards.md lists the rewards.",
    )
    advantage: AdvantageConfig = Field(
        AdvantageConfig(), description="How a group's scores become advantages, e.g. grpo, or {name: modulated, k: 8}."
    )
    curriculum: SamplerChoice | None = Field(
        SamplerChoice(name="easy_to_hard"),
        description="Order of the prompts: easy_to_hard, shuffled, or a plugin's sampler. null: verl's own order "
        "(data.shuffle, data.seed).",
    )
    mixture: MixtureChoice | None = Field(
        None,
        description="Share of each source among the prompts, e.g. {name: fixed, options: {weights: {domain: 3, "
        "general: 1}}}; it needs a curriculum. null: as many prompts as each source has.",
    )
    perception: PerceptionConfig | None = Field(
        None, description="Weight replies by how much they depend on the picture; docs/perception.md. null: off."
    )
    group_size_by_difficulty: GroupSizes = Field(
        {},
        description="Difficulty → replies per prompt from there on, e.g. {0.5: 12, 0.8: 16}; easier prompts get the "
        "ordinary group size.",
    )
    guard: Annotated[RolloutGuard, HOW] = Field(
        RolloutGuard(),
        description="What happens when rewards, entropy or length go wrong; docs/divergence.md. It decides no number.",
    )

    @model_validator(mode="before")
    @classmethod
    def _mixture_beside(cls, value: Any) -> Any:
        curriculum = value.get("curriculum") if isinstance(value, Mapping) else None
        if isinstance(curriculum, Mapping) and "mixture" in curriculum:
            own = {key: one for key, one in curriculum.items() if key != "mixture"} or {"name": "easy_to_hard"}
            mixture = curriculum["mixture"]
            if isinstance(mixture, Mapping) and "options" not in mixture:
                options = {key: one for key, one in mixture.items() if key != "name"}
                mixture = {"name": mixture.get("name", "<name>"), **({"options": options} if options else {})}
            raise ValueError(
                f"mixture stands beside curriculum; write curriculum: {format_flow_yaml(own)} and "
                f"mixture: {format_flow_yaml(mixture)}"
            )
        return value

    @model_validator(mode="after")
    def _mixture_needs_curriculum(self) -> Self:
        if self.mixture is not None and self.curriculum is None:
            raise ValueError("mixture: a sampler of ours draws it; add e.g. `curriculum: shuffled`")
        return self


class VerlSettings(HybridSettings):
    """Everything about the run that is ours and not verl's."""

    # A run that was not started by a recipe keeps verl's order unless it asks: its rows may have no difficulty.
    curriculum: SamplerChoice | None = Field(
        None, description="Order of the prompts. null: verl's own (data.shuffle, data.seed)."
    )
    plugins: tuple[str, ...] = Field((), description="Modules or .py files to import in every process.")
    seed: int = Field(0, description="Seed of every random choice of ours.")
    image: PixelLimits | None = Field(
        None,
        description="Limits of a picture in pixels, {min_pixels: …, max_pixels: …}: prompts show it as SFT does. "
        "null: as verl does.",
    )
    metrics_path: str | None = Field(None, description="JSONL with one line per step; appended to on resume.")
    loaded_path: str | None = Field(None, description="JSON written when our trainer and rewards are known to run.")
    poll_interval: float = Field(0.02, gt=0, description="Seconds between looks at the replay buffer; verl's own is 2.")


def load_verl_settings(config: Any) -> VerlSettings:
    """Read the settings out of verl's configuration.

    Args:
        config: the whole Hydra configuration of the run.

    Raises:
        SettingsError: absent, not readable, or not valid.
    """
    from omegaconf import OmegaConf

    # The trainer renames the mode to verl's own name, which is what reward workers see.
    mode = str(config.trainer.v1.trainer_mode).removeprefix(PREFIX)
    key = find_settings_key(mode)  # type: ignore[arg-type]
    found = OmegaConf.select(config, key, default=None)
    if found is None:
        raise VerlSettingsError(
            f"trainer_mode={PREFIX}{mode} needs rewards: pass +{key}=/path/to/settings.yaml, "
            "with at least `rewards: {accuracy: {weight: 1.0}}`"
        )
    if isinstance(found, str):
        return read_settings_file(Path(found))
    return parse_verl_settings(OmegaConf.to_container(found, resolve=True), key)


def read_settings_file(path: Path) -> VerlSettings:
    """Read a settings file.

    Raises:
        SettingsError: the file is missing or not valid.
    """
    if not path.is_file():
        raise VerlSettingsError(f"settings: {path} is not a file; give an absolute path, Ray workers run elsewhere")
    import yaml

    from mindgpt_plugins.core.yaml_limits import read_yaml_text

    try:
        loaded = read_json(path) if path.suffix == ".json" else yaml.safe_load(read_yaml_text(path))
    except (ValueError, yaml.YAMLError) as error:
        raise VerlSettingsError(f"settings: {path} cannot be read: {error}") from None
    return parse_verl_settings(loaded, str(path))


def parse_verl_settings(data: Any, where: str) -> VerlSettings:
    """Validate a mapping.

    Raises:
        SettingsError: with every offending key.
    """
    from pydantic import ValidationError

    from mindgpt_plugins.core.overrides import describe_errors

    if not isinstance(data, Mapping):
        raise VerlSettingsError(f"{where}: expected a mapping with `rewards:`, got {type(data).__name__}")
    try:
        return VerlSettings.model_validate(dict(data))
    except ValidationError as error:
        raise VerlSettingsError(f"{where}: {'; '.join(describe_errors(error, VerlSettings))}") from None


def write_settings_file(settings: VerlSettings, path: Path) -> None:
    """Write a settings file that :func:`read_settings_file` accepts."""
    write_json(path, settings.model_dump(mode="json"))
