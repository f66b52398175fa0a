"""The part of a recipe that decides advantages: its rewards and its advantage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mindgpt_plugins.advantage.config import AdvantageConfig
from mindgpt_plugins.core.files import read_json
from mindgpt_plugins.core.registry import load_plugins
from mindgpt_plugins.core.state import read_stage_record
from mindgpt_plugins.recipe.loading import RecipeError, find_stage, load_recipe
from mindgpt_plugins.rewards.suite import RewardConfig, Suite
from mindgpt_plugins.stages.rl.config import RLConfig
from mindgpt_plugins.verl_ext.step.hybrid import Hybrid


@dataclass(frozen=True)
class Setup:
    """Rewards and advantage, checked as a run would check them.

    Raises:
        RegistryError, RewardError, ValueError: as a run would.
    """

    name: str
    rewards: dict[str, RewardConfig]
    advantage: AdvantageConfig
    steps: int
    """Of the run: where in it a recorded step lies."""
    perception: bool = False
    """Does the recipe weigh each reply's advantage by how much it looks at the picture? The weight is recorded."""

    def __post_init__(self) -> None:
        Hybrid(self.suite, self.advantage)

    @cached_property
    def suite(self) -> Suite:
        """The rewards, ready to score."""
        return Suite(self.rewards)

    def plain(self) -> dict[str, Any]:
        """As plain data, ``rewards`` and ``advantage``."""
        rewards = {name: config.model_dump(mode="json") for name, config in self.rewards.items()}
        return {"rewards": rewards, "advantage": self.advantage.model_dump(mode="json")}

    def changed(self, data: dict[str, Any]) -> Setup:
        """The same with other plain data.

        Raises:
            ValueError: a value that no run would accept.
        """
        rewards = {name: RewardConfig.model_validate(config) for name, config in data["rewards"].items()}
        return Setup(self.name, rewards, AdvantageConfig.model_validate(data["advantage"]), self.steps, self.perception)


def read_recipe_setup(recipe: str, overrides: Sequence[str] = (), stage: str | None = None) -> Setup:
    """The setup of a recipe's rl stage, or of a ``stage.json`` that a run left.

    Raises:
        RecipeError: no such recipe, or not one rl stage to choose.
    """
    if recipe.endswith(".json"):
        return _of_run(Path(recipe), overrides)
    return _setup(" ".join([recipe, *overrides]), find_stage(load_recipe(recipe, overrides), RLConfig, stage))


def _setup(name: str, config: RLConfig) -> Setup:
    return Setup(name, config.rewards, config.advantage, config.steps, config.perception is not None)


def _of_run(path: Path, overrides: Sequence[str]) -> Setup:
    from pydantic import ValidationError

    if not path.is_file():
        raise RecipeError(str(path), ["no such file; a run writes stage.json into the folder of each stage"])
    if overrides:
        raise RecipeError(str(path), ["overrides go with a recipe, not with what a run left"])
    settings = read_stage_record(path)["settings"]
    beside = path.with_name("settings.json")
    if beside.is_file():  # the stage's record does not list the recipe's plugins
        load_plugins(read_json(beside).get("plugins") or ())
    try:
        config = RLConfig.model_validate(settings)
    except ValidationError as error:
        raise RecipeError(
            str(path), [f"these are not the settings of an rl stage: {error.errors()[0]['msg']}"]
        ) from None
    return _setup(str(path), config)
