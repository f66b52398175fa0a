"""Runs a recipe on a shrunken copy of its model, on CPU, and says what that proves."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mindgpt_plugins.pipeline import folders
from mindgpt_plugins.pipeline import plan as planner
from mindgpt_plugins.pipeline.plan import Plan, PlannedStage
from mindgpt_plugins.recipe.loading import load
from mindgpt_plugins.recipe.schema import Recipe
from mindgpt_plugins.recipe.sft import TrainingConfig
from mindgpt_plugins.rehearse import checks, evidence, models, rewards, subset
from mindgpt_plugins.rehearse.draft import Change
from mindgpt_plugins.rehearse.drive import Driven, drive
from mindgpt_plugins.rehearse.findings import Finding
from mindgpt_plugins.rehearse.loading import loaded
from mindgpt_plugins.rehearse.recipe import ROWS, rehearsal

Say = Callable[[str], None]


@dataclass
class Rehearsal:
    """Everything a report shows.

    Attributes:
        recipe: its name.
        folder: where it ran.
        findings: in the order they were made.
        changes: what differs from the recipe.
        stages: name and kind, in order.
        shrunk: model reference → what was made of it.
        seconds: wall time of this call, cpu_seconds of all its processes.
    """

    recipe: str
    folder: Path
    findings: list[Finding] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    stages: list[tuple[str, str]] = field(default_factory=list)
    shrunk: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def proven(self) -> bool:
        """Is there no failure?"""
        return not any(finding.state == "failed" for finding in self.findings)


def prepare(
    recipe: Recipe, folder: Path, given: Mapping[str, Path], *, write: bool, say: Say
) -> tuple[Rehearsal, Plan, Plan | None]:
    """Check the whole recipe, make models and sets small, and write the rehearsal's recipe.

    Args:
        recipe: the user's.
        folder: the rehearsal's.
        given: local folders for hub ids.
        write: otherwise nothing is written, nothing is checked but keys and models, and the second plan is None.
        say: told what happens.

    Returns:
        What is known so far, the plan of the recipe itself, and the rehearsal's.

    Raises:
        ModelNotHere, ShrinkError, SubsetError: something the rehearsal needs is not on this machine.
    """
    result = Rehearsal(recipe.name, folder, stages=[(name, one.kind) for name, one in recipe.stages.items()])
    local = models.local(recipe, given)
    original = checks.original(recipe, local, folder / "original")
    longest: dict[str, int] = {}
    if write:
        say("checking the recipe and all of its data")
        named = {
            name: one.python or getattr(recipe.launch, original_side(original, name)).python
            for name, one in recipe.stages.items()
        }
        result.findings, longest = checks.check(original, named)
    copies = {reference: models.copy_of(reference, folder) for reference in local}
    if write:
        result.shrunk = _shrink(local, copies, say)
    sets, rows = _subsets(original, folder, longest, write=write)
    tree, result.changes = rehearsal(recipe, models=copies, sets=sets, rows=rows)
    if not write:
        return result, original, None
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return result, original, planner.make(load(str(path)), folder / "runs")


def original_side(plan: Plan, name: str) -> str:
    """Which of the recipe's interpreters runs a stage."""
    return next(stage.stage.side for stage in plan.stages if stage.name == name)


def examine(result: Rehearsal, original: Plan, plan: Plan, say: Say) -> None:
    """What can be seen before the first stage: chat templates, patches, rewards on the sets' own answers."""
    say("checking patches")
    trained = [stage for stage in plan.stages if stage.config.kind in evidence.TRAINED]
    result.findings += checks.patches(trained, plan.recipe.plugins)
    seen: set[tuple[str, ...]] = set()
    for stage in plan.stages:
        for reference, folder, name in checks.outside_sets(stage):
            if isinstance(stage.config, TrainingConfig):
                result.findings += _template(stage, reference, folder, seen, say)
            elif stage.config.kind == "rl":
                result.findings += rewards.on_gold(stage.name, stage.config, folder, [name])


def run(result: Rehearsal, plan: Plan, say: Say) -> Driven:
    """Run every stage with one kill in each, and judge what they left."""
    driven = drive(plan, result.folder / "recipe.yaml", result.folder / "runs", say=say)
    result.cpu_seconds += driven.cpu_seconds
    say("reading what the stages left")
    seen: set[tuple[str, ...]] = set()
    for stage in plan.stages:
        if not folders.is_done(stage.folder):
            break
        found = evidence.judge(stage, driven.kills.get(stage.name))
        if stage.config.kind == "rl":
            found += rewards.on_rollouts(stage)
        if isinstance(stage.config, TrainingConfig) and stage.stage.side == "sft":
            for one in stage.config.data:
                if one.set.rpartition("/")[0] in stage.context.inputs:
                    found += _template(stage, one.set, stage.context.dataset(one.set)[0], seen, say)
        result.findings += found
    if driven.failed is not None:
        result.findings.append(Finding(driven.failed, "run", "failed", evidence.cause(driven.message)))
    else:
        say("loading the last model")
        result.findings += loaded(plan, result.folder)
    return driven


def rehearse(recipe: Recipe, folder: Path, given: Mapping[str, Path], say: Say) -> tuple[Rehearsal, Plan]:
    """The whole rehearsal; stops before the first stage when something was found already.

    Returns:
        What it proved, and the plan of the recipe itself, for the cost estimate.
    """
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    result, original, plan = prepare(recipe, folder, given, write=True, say=say)
    assert plan is not None
    if result.proven:
        examine(result, original, plan, say)
    if result.proven:
        run(result, plan, say)
    result.seconds = time.monotonic() - began
    return result, original


def _shrink(local: Mapping[str, Path], copies: Mapping[str, Path], say: Say) -> dict[str, Any]:
    from dataclasses import asdict

    from mindgpt_plugins.rehearse.shrink import shrink

    made = {}
    for reference, source in local.items():
        say(f"shrinking {reference}")
        made[reference] = asdict(shrink(source, copies[reference]))
    return made


def _subsets(
    original: Plan, folder: Path, longest: Mapping[str, int], *, write: bool
) -> tuple[dict[str, str], dict[str, int]]:
    """Dataset reference → its subset, and the subset's rows."""
    sets: dict[str, str] = {}
    rows: dict[str, int] = {}
    places: dict[Path, Path] = {}
    for stage in original.stages:
        for reference, source, name in checks.outside_sets(stage):
            target = places.setdefault(source, folder / "data" / f"{source.name}{len(places) or ''}")
            if reference not in sets:
                rows[reference] = subset.write(source, name, target, ROWS, longest.get(reference)) if write else ROWS
            sets[reference] = f"{target.resolve()}/{name}"
    return sets, rows


def _template(stage: PlannedStage, reference: str, folder: Path, seen: set[tuple[str, ...]], say: Say) -> list[Finding]:
    """One check per model, template and set."""
    config: Any = stage.config
    key = (stage.context.model(config.model), config.template, str(folder), reference)
    if key in seen:
        return []
    seen.add(key)
    say(f"{stage.name}: comparing chat templates on {reference}")
    return [checks.template(stage, reference)]
