"""``on_fail: extend``: a stage that failed the forgetting gate is trained further, as planned stages of their own.

Whether that happens is known only once the gate has judged. So a plan is a function of the recipe *and* of the gates
that are finished: while one has failed and may extend, ``<trained>.more1`` (the same training, started from where the
stage ended) and ``<gate>.more1`` are put behind it, and every later stage refers to them instead. Each is an ordinary
stage with a content hash, a folder, checkpoints and a place in the report; the runner plans again after a gate.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mindgpt_plugins.core import folders
from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.core.registry import get_registered
from mindgpt_plugins.core.schema import StageConfig, rename_references
from mindgpt_plugins.recipe.schema import Recipe
from mindgpt_plugins.stages.base import Extension, Stage

_MORE = re.compile(r"(?P<name>.+)\.more(?P<count>\d+)")


def check_extension_gates(recipe: Recipe) -> None:
    """Refuse a gate that would extend something that is not trained in this recipe.

    Raises:
        StageError: naming the gate and its model.
    """
    for name, config in recipe.stages.items():
        extension = _stage(config).extension(config)
        if extension is not None and _further(recipe, extension) is None:
            raise StageError(
                f"stages.{name}: gate.on_fail is extend, but its model {extension.trained!r} is no stage of this "
                "recipe that can be trained further; use stop or continue"
            )


def is_extension_owed(recipe: Recipe, name: str, folder: Path) -> bool:
    """Has this gate failed, may it extend, and does the recipe not have the extension yet?"""
    config = recipe.stages[name]
    if (
        _stage(config).extension(config) is None
        or format_extension_name(name) in recipe.stages
        or not folders.is_stage_done(folder)
    ):
        return False
    return _stage(config).gate_failed(folder)


def extend_recipe(recipe: Recipe, gate: str) -> Recipe:
    """The recipe with one more round of training and judging behind ``gate``, and later stages referring to it."""
    config = recipe.stages[gate]
    extension = _stage(config).extension(config)
    assert extension is not None
    trained, more, judged = extension.trained, format_extension_name(extension.trained), format_extension_name(gate)
    further = _further(recipe, extension)
    assert further is not None
    stages: dict[str, StageConfig] = {}
    for name, stage in recipe.stages.items():
        stages[name] = rename_references(stage, {trained: more, gate: judged}) if judged in stages else stage
        if name == gate:
            stages[more] = further
            stages[judged] = extension.judged.model_copy(update={"model": more})
    return recipe.model_copy(update={"stages": stages})


def format_extension_name(name: str) -> str:
    """``restore`` → ``restore.more1`` → ``restore.more2``."""
    found = _MORE.fullmatch(name)
    return f"{found['name']}.more{int(found['count']) + 1}" if found else f"{name}.more1"


def find_last_extension(name: str, order: list[str]) -> str:
    """The newest extension of a stage that is in ``order``, or the stage itself."""
    while format_extension_name(name) in order:
        name = format_extension_name(name)
    return name


def _stage(config: StageConfig) -> Stage[Any]:
    stage: Stage[Any] = get_registered("stage", config.kind)()
    return stage


def _further(recipe: Recipe, extension: Extension) -> StageConfig | None:
    """The settings of the extension's training; None when the stage to be trained is none, or not in the recipe."""
    config = recipe.stages.get(extension.trained)
    if config is None:
        return None
    further: StageConfig | None = _stage(config).trained_further(
        config, extension.trained, extension.steps, recipe.seed
    )
    return further
