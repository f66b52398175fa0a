"""Runs a recipe on a shrunken copy of its model, on CPU, and says what that proves."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from mindgpt_plugins.core import folders
from mindgpt_plugins.pipeline import plan as planner
from mindgpt_plugins.pipeline.plan import Plan, PlannedStage
from mindgpt_plugins.recipe.loading import load
from mindgpt_plugins.recipe.schema import Recipe
from mindgpt_plugins.stages.sft.config import TrainingConfig
from mindgpt_plugins.workbench.rehearse import checks, evidence, making, models, rewards, subset
from mindgpt_plugins.workbench.rehearse.draft import Change
from mindgpt_plugins.workbench.rehearse.drive import Driven, drive
from mindgpt_plugins.workbench.rehearse.findings import Finding
from mindgpt_plugins.workbench.rehearse.loading import loaded
from mindgpt_plugins.workbench.rehearse.recipe import ROWS, rehearsal
from mindgpt_plugins.workbench.rehearse.server import address, serving

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
        server: base URL that takes the place of model servers; None: they are asked themselves, or none is.
        seconds: wall time of this call, cpu_seconds of all its processes.
    """

    recipe: str
    folder: Path
    findings: list[Finding] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    stages: list[tuple[str, str]] = field(default_factory=list)
    shrunk: dict[str, Any] = field(default_factory=dict)
    server: str | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def proven(self) -> bool:
        """Is there no failure?"""
        return not any(finding.state == "failed" for finding in self.findings)


def look(
    recipe: Recipe, folder: Path, given: Mapping[str, Path], *, deep: bool
) -> tuple[Rehearsal, Plan, dict[str, Path], dict[str, int]]:
    """Find the models' folders and look at the recipe itself with all of its data; nothing is written.

    Args:
        recipe: the user's.
        folder: the rehearsal's.
        given: local folders for hub ids.
        deep: look at the data, too.

    Returns:
        What was found, the plan of the recipe itself, the models' folders, and the longest row of each set.

    Raises:
        ModelNotHere: a model's config and tokenizer are not on this machine.
    """
    result = Rehearsal(recipe.name, folder, stages=[(name, one.kind) for name, one in recipe.stages.items()])
    local = models.local(recipe, given)
    original = checks.original(recipe, local, folder / "original")
    longest: dict[str, int] = {}
    if deep:
        sides = {stage.name: getattr(recipe.launch, stage.stage.side).python for stage in original.stages}
        named = {name: one.python or sides[name] for name, one in recipe.stages.items()}
        result.findings, longest = checks.check(original, named)
    return result, original, local, longest


def changes(result: Rehearsal, recipe: Recipe, original: Plan, local: Mapping[str, Path]) -> None:
    """Note what a rehearsal would change, without writing anything."""
    copies = {reference: models.copy_of(reference, result.folder) for reference in local}
    sets = {value: value for stage in original.stages for value, _, _ in checks.outside_sets(stage)}
    rows = dict.fromkeys(sets, ROWS)
    _, result.changes = rehearsal(recipe, models=copies, sets=sets, rows=rows, server=result.server)


def prepare(
    result: Rehearsal, recipe: Recipe, original: Plan, local: Mapping[str, Path], longest: Mapping[str, int], say: Say
) -> Plan:
    """Make models and sets small and write the rehearsal's recipe; its plan.

    Raises:
        ShrinkError, SubsetError: something cannot be made small; the message names it.
    """
    copies = {reference: models.copy_of(reference, result.folder) for reference in local}
    for reference, source in local.items():
        say(f"shrinking {reference}")
        result.shrunk[reference] = asdict(models.make_copy(source, copies[reference]))
    sets, rows = _subsets(original, result.folder, longest)
    pictures = _pictures(recipe, result.folder)
    tree, result.changes = rehearsal(
        recipe, models=copies, sets=sets, rows=rows, pictures=pictures, server=result.server
    )
    path = result.folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return planner.make(load(str(path)), result.folder / "runs")


def examine(result: Rehearsal, plan: Plan, say: Say) -> None:
    """What can be seen before the first stage: rewards on the sets' own answers, chat templates, patches."""
    asked = []
    for stage in plan.stages:
        for reference, folder, name in checks.outside_sets(stage):
            if isinstance(stage.config, TrainingConfig):
                asked.append((stage, reference))
            elif stage.config.kind == "rl":
                say(f"{stage.name}: scoring the answers of {name}")
                result.findings += rewards.check_gold_answers(stage.name, stage.config, folder, [name])
    if asked:
        say("comparing chat templates")
        result.findings += checks.templates(asked)
    say("applying patches to the installed hosts")
    trained = [stage for stage in plan.stages if stage.config.kind in evidence.TRAINED]
    result.findings += checks.patches(trained, plan.recipe.plugins)


def run(result: Rehearsal, plan: Plan, say: Say) -> Driven:
    """Run every stage with one kill in each, and judge what they left."""
    counted = _children()
    driven = drive(plan, result.folder / "recipe.yaml", result.folder / "runs", say=say)
    # The system forgets what killed processes spent, so the drive counts itself.
    result.cpu_seconds += driven.cpu_seconds - (_children() - counted)
    say("reading what the stages left")
    asked = []
    for stage in plan.stages:
        if not folders.is_done(stage.folder):
            break
        result.findings += evidence.judge(stage, driven.kills.get(stage.name))
        if stage.config.kind == "rl":
            result.findings += [*_on_made_sets(stage), *rewards.check_rollouts(stage)]
        if isinstance(stage.config, TrainingConfig):
            sets = [one.set for one in stage.config.data]
            asked += [(stage, one) for one in sets if one.rpartition("/")[0] in stage.context.inputs]
    result.findings += checks.templates(asked)
    if driven.failed is not None:
        failed = next(stage for stage in plan.stages if stage.name == driven.failed)
        text = rewards.with_source(failed, evidence.cause(driven.message))
        result.findings.append(Finding(driven.failed, "run", "failed", text))
    else:
        say("loading the last model")
        result.findings += loaded(plan, result.folder)
    return driven


def rehearse(
    recipe: Recipe, folder: Path, given: Mapping[str, Path], say: Say, *, with_teacher: bool = False
) -> tuple[Rehearsal, Plan, dict[str, Path]]:
    """The whole rehearsal; stops before the first stage when something was found already.

    Args:
        recipe: the user's.
        folder: the rehearsal's.
        given: local folders for hub ids.
        say: told what happens.
        with_teacher: ask the recipe's own model servers.

    Returns:
        What it proved, the plan of the recipe itself and the models' folders.
    """
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    say("checking the recipe and all of its data")
    result, original, local, longest = look(recipe, folder, given, deep=True)
    if not with_teacher and any(making.asks(one.model_dump(mode="json")) for one in recipe.stages.values()):
        result.server = address(folder)
    if result.proven:
        plan = prepare(result, recipe, original, local, longest, say)
        examine(result, plan, say)
        if result.proven:
            with serving(result.server):
                run(result, plan, say)
    inside = f"{folder}/"
    result.findings = [replace(one, text=one.text.replace(inside, "")) for one in result.findings]
    result.seconds = time.monotonic() - began
    result.cpu_seconds += time.process_time() + _children()
    return result, original, local


def _subsets(original: Plan, folder: Path, longest: Mapping[str, int]) -> tuple[dict[str, str], dict[str, int]]:
    """Dataset reference → its subset, and the subset's rows."""
    sets: dict[str, str] = {}
    rows: dict[str, int] = {}
    places: dict[Path, Path] = {}
    for stage in original.stages:
        for reference, source, name in checks.outside_sets(stage):
            target = places.setdefault(source, folder / "data" / f"{source.name}{len(places) or ''}")
            if reference not in sets:
                rows[reference] = subset.write(source, name, target, ROWS, longest.get(reference))
            sets[reference] = f"{target.resolve()}/{name}"
    return sets, rows


def _on_made_sets(stage: PlannedStage) -> list[Finding]:
    """Rewards on the answers of sets that a stage of the rehearsal made."""
    found = []
    for to, value in stage.config.references():
        if to == "dataset" and value.rpartition("/")[0] in stage.context.inputs:
            folder, name = stage.context.dataset(value)
            found += rewards.check_gold_answers(stage.name, stage.config, folder, [name])
    return found


def _pictures(recipe: Recipe, folder: Path) -> dict[str, Path]:
    """Path of a data stage's pictures → a few of them."""
    found = {}
    for name, config in recipe.stages.items():
        for to, value in config.references():
            if to == "path" and config.kind == "data":
                source = (recipe.folder / Path(value).expanduser()).resolve()
                found[value] = making.few_pictures(source, folder / "pictures" / name)
    return found


def _children() -> float:
    """CPU seconds of the processes this one has waited for."""
    times = os.times()
    return times.children_user + times.children_system
