"""Stages that a rehearsal leaves out, because what runs them is not on this machine."""

from __future__ import annotations

import importlib.util
import shutil

from mindgpt_plugins.core.registry import get_registered
from mindgpt_plugins.core.schema import StageConfig
from mindgpt_plugins.recipe.schema import Recipe


def find_stage_interpreter(recipe: Recipe, config: StageConfig) -> tuple[str | None, bool]:
    """Interpreter that a stage names, absolute where it is a path, and whether it is on this machine."""
    named = config.python or recipe.launch_of(get_registered("stage", config.kind).side).python
    if named is None:
        return None, True
    if "/" in named:
        local = (recipe.folder / named).absolute()
        return str(local), local.is_file()
    return named, shutil.which(named) is not None


def explain_left_out(recipe: Recipe, config: StageConfig, skipped: set[str]) -> str | None:
    """Why a stage cannot be rehearsed here, or None.

    Args:
        recipe: that it is of.
        config: its settings.
        skipped: stages that are left out already; what needs one of them is, too, but not what only compares with it.
    """
    rules = get_registered("stage", config.kind)().rehearsal_rules()
    compared = rules.compared_with(config)
    needed = [
        value.rpartition("/")[0] if to == "dataset" else value
        for to, value in config.references()
        if not (to == "scores" and value in compared)
    ]
    lost = next((name for name in needed if name in skipped), None)
    if lost is not None:
        return f"it needs {lost}, which is left out"
    if rules.tool is not None:
        named, here = find_stage_interpreter(recipe, config)
        if named is not None and not here:
            return f"its interpreter {named} is not on this machine"
        if named is None and importlib.util.find_spec(rules.tool) is None:
            return f"{rules.tool} is not installed here"
    reason: str | None = rules.why_left_out(config)
    return reason
