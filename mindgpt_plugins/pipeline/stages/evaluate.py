"""Stage ``evaluate``: scores a model on held-out sets with ``python -m mindgpt_plugins.evaluate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from mindgpt_data.tree.model import TreeError

from mindgpt_plugins.evaluate.branches import tree_leaves
from mindgpt_plugins.pipeline.stage import Command, Context, Stage, as_json
from mindgpt_plugins.recipe.base import StageConfig
from mindgpt_plugins.recipe.evaluate import EvaluateConfig

CODE = (
    "mindgpt_plugins.evaluate",
    "mindgpt_plugins.answers",
    "mindgpt_plugins.rewards",
    "mindgpt_plugins.pipeline.stages.evaluate",
    "mindgpt_data",  # sets, images, the client that asks a judge
)
"""Source behind letting a model answer and scoring what it says."""


class Evaluate(Stage[EvaluateConfig]):
    """Writes ``scores.json``, ``branches.json`` and ``predictions.jsonl``."""

    Config: ClassVar[type[StageConfig]] = EvaluateConfig
    side: ClassVar[str] = "sft"
    code: ClassVar[tuple[str, ...]] = CODE

    def render(self, config: EvaluateConfig, context: Context) -> list[Command]:
        """Resolve references and write ``evaluate.json``."""
        settings: dict[str, Any] = as_json(config)
        settings |= model_settings(config.model, config.seed, context)
        settings["sets"] = [set_location(context, ref) for ref in config.sets]
        settings["gate"] = None
        if config.gate is not None:
            settings["gate"] = config.gate.model_dump(mode="json")
            for key in ("before", "peak"):
                ref = settings["gate"][key]
                settings["gate"][key] = ref and context.artefact(ref, "predictions")
        earlier = config.compare or (config.gate and config.gate.before)
        if earlier:
            settings["compare"] = {"name": earlier, "predictions": context.artefact(earlier, "predictions")}
        if config.tree is not None:
            settings["tree"] = _trees(config, context)
        (context.folder / "evaluate.json").write_text(json.dumps(settings, indent=1) + "\n")
        return [Command(("-m", "mindgpt_plugins.evaluate", "evaluate.json"))]

    def artefacts(self, config: EvaluateConfig, context: Context) -> dict[str, str]:
        """Scores, accuracy per branch of the label tree, and predictions."""
        return {
            "scores": str(context.folder / "scores.json"),
            "branches": str(context.folder / "branches.json"),
            "predictions": str(context.folder / "predictions.jsonl"),
        }

    def check(self, config: EvaluateConfig, context: Context) -> list[str]:
        """Set names must differ, the gate's set must be one of them, and trees must be readable."""
        names = [ref.rpartition("/")[2] for ref in config.sets]
        problems = [f"sets: {name!r} occurs twice; set names must differ" for name in {*names} if names.count(name) > 1]
        if config.gate and config.gate.set is not None and config.gate.set not in names:
            problems.append(f"gate.set: {config.gate.set!r} is not evaluated here; choose from {', '.join(names)}")
        try:
            tree_leaves(_trees(config, context))
        except TreeError as error:
            problems.append(f"tree: {error}")
        return problems


def _trees(config: EvaluateConfig, context: Context) -> dict[str, str]:
    trees = config.tree.model_dump(exclude_none=True) if config.tree else {}
    return {axis: str((context.recipe_folder / Path(path).expanduser()).resolve()) for axis, path in trees.items()}


def model_settings(reference: str, seed: int | None, context: Context) -> dict[str, Any]:
    """What every stage that loads a model for generation passes on."""
    return {
        "model": context.model(reference),
        "model_name": reference,
        "seed": context.seed if seed is None else seed,
        "min_pixels": context.min_pixels,
        "max_pixels": context.max_pixels,
        "device": "cpu" if context.cpu else None,
    }


def set_location(context: Context, reference: str) -> dict[str, str]:
    """A dataset reference as folder and set name."""
    folder, name = context.dataset(reference)
    return {"folder": str(folder), "name": name}
