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

from pydantic import BaseModel

from mindgpt_plugins.core import folders
from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.core.schema import StageConfig, reference_of
from mindgpt_plugins.recipe.schema import Recipe
from mindgpt_plugins.stages.dpo.config import DPOConfig
from mindgpt_plugins.stages.evaluate.config import EvaluateConfig, Extension, Gate
from mindgpt_plugins.stages.sft.config import KLConfig, SFTConfig, TrainingConfig

_MORE = re.compile(r"(?P<name>.+)\.more(?P<count>\d+)")


def check(recipe: Recipe) -> None:
    """Refuse a gate that would extend something that is not trained in this recipe.

    Raises:
        StageError: naming the gate and its model.
    """
    for name, config in recipe.stages.items():
        if _extension(config) is not None:
            assert isinstance(config, EvaluateConfig)
            if not isinstance(recipe.stages.get(config.model), TrainingConfig):
                raise StageError(
                    f"stages.{name}: gate.on_fail is extend, but its model {config.model!r} is no sft or dpo stage of "
                    "this recipe, so there is nothing to train further; use stop or continue"
                )


def owed(recipe: Recipe, name: str, folder: Path) -> bool:
    """Has this gate failed, may it extend, and does the recipe not have the extension yet?"""
    if _extension(recipe.stages[name]) is None or following(name) in recipe.stages or not folders.is_done(folder):
        return False
    return bool(folders.read_json(folder / "scores.json")["gate"]["verdict"] == "failed")


def extended(recipe: Recipe, gate: str) -> Recipe:
    """The recipe with one more round of training and judging behind ``gate``, and later stages referring to it."""
    config = recipe.stages[gate]
    extension = _extension(config)
    assert isinstance(config, EvaluateConfig) and config.gate is not None and extension is not None
    trained, more, judged = config.model, following(config.model), following(gate)
    before = recipe.stages[trained]
    assert isinstance(before, TrainingConfig)
    stages: dict[str, StageConfig] = {}
    for name, stage in recipe.stages.items():
        stages[name] = renamed(stage, {trained: more, gate: judged}) if judged in stages else stage
        if name == gate:
            stages[more] = _further(before, trained, extension.steps, recipe.seed)
            remaining = config.gate.model_copy(update=_remaining(extension))
            stages[judged] = config.model_copy(update={"model": more, "gate": remaining})
    return recipe.model_copy(update={"stages": stages})


def following(name: str) -> str:
    """``restore`` → ``restore.more1`` → ``restore.more2``."""
    found = _MORE.fullmatch(name)
    return f"{found['name']}.more{int(found['count']) + 1}" if found else f"{name}.more1"


def last(name: str, order: list[str]) -> str:
    """The newest extension of a stage that is in ``order``, or the stage itself."""
    while following(name) in order:
        name = following(name)
    return name


def renamed(model: Any, names: dict[str, str]) -> Any:
    """A config whose references to some stages are replaced by references to others."""
    changes = {}
    for key, field in type(model).model_fields.items():
        value = getattr(model, key)
        new = _renamed(value, reference_of(field), names)
        if new != value:
            changes[key] = new
    return model.model_copy(update=changes)


def _renamed(value: Any, to: str | None, names: dict[str, str]) -> Any:
    if isinstance(value, BaseModel):
        return renamed(value, names)
    if isinstance(value, dict):
        return {key: _renamed(one, to, names) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_renamed(one, to, names) for one in value)
    if to is not None and isinstance(value, str):
        head = value.rpartition("/")[0] if to == "dataset" else value
        return names[head] + value[len(head) :] if head in names else value
    return value


def _further(config: TrainingConfig, start: str, steps: int, seed: int) -> TrainingConfig:
    """The same training for ``steps`` more: other order, a schedule of its own, and the reference it always had."""
    changes: dict[str, Any] = {
        "model": start,
        "epochs": None,
        "max_steps": steps,
        "seed": (seed if config.seed is None else config.seed) + 1,
    }
    if isinstance(config, SFTConfig) and isinstance(config.kl, KLConfig):
        changes["kl"] = config.kl.model_copy(update={"reference": config.kl.reference or config.model})
    if isinstance(config, DPOConfig):
        changes["reference"] = config.reference or config.model
    return config.model_copy(update=changes)


def _remaining(extension: Extension) -> dict[str, Any]:
    if extension.times == 1:
        return {"on_fail": extension.then, "extend": None}
    return {"extend": extension.model_copy(update={"times": extension.times - 1})}


def _extension(config: StageConfig) -> Extension | None:
    gate: Gate | None = config.gate if isinstance(config, EvaluateConfig) else None
    return gate.extend if gate is not None else None
