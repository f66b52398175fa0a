"""From a recipe to its rehearsal: the same stages in the same order, each with as little work as proves it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mindgpt_plugins.core import device
from mindgpt_plugins.core.registry import get_registered
from mindgpt_plugins.core.schema import OUTSIDE, StageConfig, rename_references
from mindgpt_plugins.recipe.schema import Recipe
from mindgpt_plugins.stages.rehearsal import Draft, RecipeDifference, Room
from mindgpt_plugins.workbench.rehearse import left_out

ROWS = 16
"""Rows of a set in a rehearsal, more when it has more sources and types."""


class NothingToRehearse(ValueError):
    """Every stage is left out on this machine; the message says why each."""


def make_rehearsal_recipe(
    recipe: Recipe,
    *,
    models: Mapping[str, Path],
    sets: Mapping[str, str],
    rows: Mapping[str, int],
    pictures: Mapping[str, Path] | None = None,
    server: str | None = None,
) -> tuple[dict[str, Any], list[RecipeDifference]]:
    """The rehearsal's recipe as plain data, and every difference to the original.

    Args:
        recipe: the user's, validated.
        models: model reference that is no stage → folder of its shrunken copy.
        sets: dataset reference that is no stage's → reference of its subset.
        rows: rows of every subset, by its original reference.
        pictures: path of a data stage's pictures → path of a few of them.
        server: base URL that takes the place of every model server; None: they are asked themselves.

    Raises:
        NothingToRehearse: no stage is left.
    """
    head = Draft("", _head(recipe))
    # A stage knows its sets by the names that the rehearsal's recipe has for them.
    known = {**rows, **{sets[reference]: count for reference, count in rows.items() if reference in sets}}

    def count(reference: str) -> int:
        return known.get(reference, ROWS)

    if device.resolve_device(recipe.device) != "cpu" or recipe.device != "cpu":
        head.set("device", "cpu", "gpu only", "everything that runs on the accelerator: its kernels, memory and dtype")
    head.settings["offline"] = True
    changes = list(head.changes)
    stages: dict[str, Any] = {}
    skipped: set[str] = set()
    for name, config in recipe.stages.items():
        draft = Draft(name, _pointed(recipe, config, models, sets, pictures or {}))
        if reason := left_out.explain_left_out(recipe, config, skipped):
            skipped.add(name)
            changes.append(RecipeDifference(name, "kind", config.kind, None, "stand-in", f"stage {name}: {reason}"))
            continue
        _interpreter(recipe, config, draft)
        get_registered("stage", config.kind)().rehearsal_rules().shrink(draft, Room(count, server, frozenset(skipped)))
        stages[name] = draft.settings
        changes += draft.changes
        head.settings["plugins"] += [one for one in draft.plugins if one not in head.settings["plugins"]]
    if not stages:
        raise NothingToRehearse("\n".join(change.means for change in changes if change.key == "kind"))
    return {**head.settings, "stages": stages}, changes


def write_rehearsal_recipe(tree: Mapping[str, Any], path: Path) -> None:
    """Write a rehearsal's recipe; only its owner may read it, for it holds values of ``launch.*.env``."""
    path.unlink(missing_ok=True)
    path.touch(0o600)
    path.write_text(yaml.safe_dump(dict(tree), sort_keys=False, allow_unicode=True), encoding="utf-8")


def _head(recipe: Recipe) -> dict[str, Any]:
    plain = recipe.model_dump(mode="json", exclude={"path", "stages"})
    for name, side in plain["launch"].items():
        side["python"] = None  # a stage's own names the interpreter, see _interpreter
        side["env"] = recipe.launch[name].reveal_env()  # a rehearsal's recipe is run, so it must hold them
    plain["plugins"] = list(recipe.plugins)
    plain["report"]["pictures"] = [str((recipe.folder / one).resolve()) for one in recipe.report.pictures]
    return plain


def _pointed(
    recipe: Recipe,
    config: StageConfig,
    models: Mapping[str, Path],
    sets: Mapping[str, str],
    pictures: Mapping[str, Path],
) -> dict[str, Any]:
    """A stage's settings with every reference to the outside made absolute."""
    names = {reference: str(folder) for reference, folder in models.items()}
    heads = {reference.rpartition("/")[0]: target.rpartition("/")[0] for reference, target in sets.items()}
    for to, value in config.references():
        if to in OUTSIDE or (to == "branches" and value not in recipe.stages):
            names[value] = str(pictures.get(value, (recipe.folder / Path(value).expanduser()).resolve()))
    return rename_references(config, {**names, **heads}).model_dump(mode="json")  # type: ignore[no-any-return]


def _interpreter(recipe: Recipe, config: StageConfig, draft: Draft) -> None:
    named, here = left_out.find_stage_interpreter(recipe, config)
    draft.settings["python"] = named
    if not here:
        draft.set("python", None, "stand-in", f"the interpreter {named}: it is not on this machine, this one is used")
