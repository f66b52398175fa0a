"""Runs a recipe on a shrunken copy of its model, on CPU, and says what that proves."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mindgpt_plugins.core import folders
from mindgpt_plugins.pipeline import plan as planner
from mindgpt_plugins.pipeline.plan import Plan, PlannedStage
from mindgpt_plugins.recipe.loading import load_recipe
from mindgpt_plugins.recipe.schema import Recipe
from mindgpt_plugins.stages.rehearsal import Finding, NamedSet, RecipeDifference
from mindgpt_plugins.workbench.rehearse import checks, evidence, models, subset
from mindgpt_plugins.workbench.rehearse.drive import Driven, drive_stages
from mindgpt_plugins.workbench.rehearse.loading import check_model_loads
from mindgpt_plugins.workbench.rehearse.pictures import link_few_pictures
from mindgpt_plugins.workbench.rehearse.recipe import ROWS, make_rehearsal_recipe, write_rehearsal_recipe
from mindgpt_plugins.workbench.rehearse.server import choose_server_address, run_stub_server

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
    changes: list[RecipeDifference] = field(default_factory=list)
    stages: list[tuple[str, str]] = field(default_factory=list)
    shrunk: dict[str, Any] = field(default_factory=dict)
    server: str | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def proven(self) -> bool:
        """Is there no failure?"""
        return not any(finding.state == "failed" for finding in self.findings)


def inspect_recipe(
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
    local = models.find_model_folders(recipe, given)
    original = checks.plan_original_recipe(recipe, local, folder / "original")
    longest: dict[str, int] = {}
    if deep:
        sides = {stage.name: recipe.launch_of(stage.stage.side).python for stage in original.stages}
        named = {name: one.python or sides[name] for name, one in recipe.stages.items()}
        result.findings, longest = checks.check_original_plan(original, named)
    return result, original, local, longest


def note_recipe_changes(result: Rehearsal, recipe: Recipe, original: Plan, local: Mapping[str, Path]) -> None:
    """Note what a rehearsal would change, without writing anything."""
    copies = {reference: models.locate_model_copy(reference, result.folder) for reference in local}
    sets = {one.reference: one.reference for stage in original.stages for one in checks.list_outside_sets(stage)}
    rows = dict.fromkeys(sets, ROWS)
    _, result.changes = make_rehearsal_recipe(recipe, models=copies, sets=sets, rows=rows, server=result.server)


def prepare_rehearsal(
    result: Rehearsal, recipe: Recipe, original: Plan, local: Mapping[str, Path], longest: Mapping[str, int], say: Say
) -> Plan:
    """Make models and sets small and write the rehearsal's recipe; its plan.

    Raises:
        ShrinkError, SubsetError: something cannot be made small; the message names it.
    """
    copies = {reference: models.locate_model_copy(reference, result.folder) for reference in local}
    for reference, source in local.items():
        say(f"shrinking {reference}")
        result.shrunk[reference] = asdict(models.make_model_copy(source, copies[reference]))
    sets, rows = _subsets(original, result.folder, longest)
    pictures = _pictures(original, result.folder)
    tree, result.changes = make_rehearsal_recipe(
        recipe, models=copies, sets=sets, rows=rows, pictures=pictures, server=result.server
    )
    as_it_is = [change for change in result.changes if change.kind == "as it is"]
    result.findings += [Finding(change.stage, "settings", "noted", change.means) for change in as_it_is]
    path = result.folder / "recipe.yaml"
    write_rehearsal_recipe(tree, path)
    return planner.make_run_plan(load_recipe(str(path)), result.folder / "runs")


def examine_rehearsal(result: Rehearsal, plan: Plan, say: Say) -> None:
    """What can be seen before the first stage: rewards on the sets' own answers, chat templates, patches."""
    asked = []
    for stage in plan.stages:
        for one in checks.list_outside_sets(stage):
            asked.append((stage, one))
            result.findings += _tried(stage, one, say)
    say("checking what the hosts make of the sets")
    result.findings += checks.check_sets(asked)
    say("applying patches to the installed hosts")
    result.findings += checks.check_patches(plan.stages, plan.recipe.plugins)


def run_rehearsal(result: Rehearsal, plan: Plan, say: Say) -> Driven:
    """Run every stage with one kill in each, and judge what they left."""
    counted = _children()
    driven = drive_stages(plan, result.folder / "recipe.yaml", result.folder / "runs", say=say)
    # The system forgets what killed processes spent, so the drive counts itself.
    result.cpu_seconds += driven.cpu_seconds - (_children() - counted)
    say("reading what the stages left")
    asked = []
    for stage in plan.stages:
        if not folders.is_stage_done(stage.folder):
            break
        result.findings += evidence.judge_stage(stage, driven.kills.get(stage.name))
        for one in checks.list_made_sets(stage):
            asked.append((stage, one))
            result.findings += _tried(stage, one, say)
    result.findings += checks.check_sets(asked)
    if driven.failed is not None:
        failed = next(stage for stage in plan.stages if stage.name == driven.failed)
        text = evidence.add_sample_source(failed, evidence.find_failure_cause(driven.message))
        result.findings.append(Finding(driven.failed, "run", "failed", text))
    else:
        say("loading the last model")
        result.findings += check_model_loads(plan, result.folder)
    return driven


def rehearse_recipe(
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
    result, original, local, longest = inspect_recipe(recipe, folder, given, deep=True)
    if not with_teacher and any(one.stage.rehearsal_rules().asks_server(one.config) for one in original.stages):
        result.server = choose_server_address(folder)
    if result.proven:
        plan = prepare_rehearsal(result, recipe, original, local, longest, say)
        examine_rehearsal(result, plan, say)
        if result.proven:
            with run_stub_server(result.server):
                run_rehearsal(result, plan, say)
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
        for one in checks.list_outside_sets(stage):
            target = places.setdefault(one.folder, folder / "data" / f"{one.folder.name}{len(places) or ''}")
            if one.reference not in sets:
                rows[one.reference] = subset.write_subset(
                    one.folder, one.name, target, ROWS, longest.get(one.reference)
                )
            sets[one.reference] = f"{target.resolve()}/{one.name}"
    return sets, rows


def _tried(stage: PlannedStage, chosen: NamedSet, say: Say) -> list[Finding]:
    """What the stage tries on a set in this process."""
    say(f"{stage.name}: looking at {chosen.name}")
    found: list[Finding] = stage.stage.rehearsal_rules().try_set(stage.config, stage.name, chosen)
    return found


def _pictures(original: Plan, folder: Path) -> dict[str, Path]:
    """Path of a stage's pictures → a few of them."""
    found = {}
    for stage in original.stages:
        for value in stage.stage.rehearsal_rules().list_pictures(stage.config):
            source = (original.recipe.folder / Path(value).expanduser()).resolve()
            found[value] = link_few_pictures(source, folder / "pictures" / stage.name)
    return found


def _children() -> float:
    """CPU seconds of the processes this one has waited for."""
    times = os.times()
    return times.children_user + times.children_system
