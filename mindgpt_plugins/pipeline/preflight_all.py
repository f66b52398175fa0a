"""Preflight of a whole plan: host versions, every stage's own check and all data that is already there."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mindgpt_plugins.core import compat
from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.core.folders import STAGES
from mindgpt_plugins.core.os_errors import describe_os_error
from mindgpt_plugins.pipeline import preflight
from mindgpt_plugins.pipeline.plan import Plan, PlannedStage
from mindgpt_plugins.pipeline.preflight import InspectedSet
from mindgpt_plugins.pipeline.references import find_misdirected_references
from mindgpt_plugins.pipeline.runner import render_stage_commands


def check_planned_stages(plan: Plan) -> None:
    """Raise with every problem found in the stages that would run.

    Raises:
        StageError: one line per problem, with its stage.
    """
    if problems := find_plan_problems(plan):
        raise StageError("nothing was started:\n" + "\n".join(f"  {line}" for line in problems))


def find_plan_problems(plan: Plan) -> list[str]:
    """Every problem in the stages that would run, with its stage, and in the place of their results."""
    problems = list(_find_blocked_places(plan))
    for stage in plan.stages:
        if stage.status in ("reuse", "not selected"):
            continue
        if stage.python == sys.executable:  # another interpreter's packages are checked by its own doctor
            problems += [fault for fault in map(compat.find_requirement_problem, stage.stage.hosts) if fault]
        problems += [f"stages.{stage.name}: {line}" for line in _find_stage_problems(plan, stage)]
    return list(dict.fromkeys(problems))


def _find_stage_problems(plan: Plan, stage: PlannedStage) -> list[str]:
    """References first, since the checks resolve them; the commands last, since they need everything to be sound."""
    found = find_misdirected_references(plan, stage)
    try:
        found = found or stage.stage.check(stage.config, stage.context) + preflight.check_data(stage)
        found = found or preflight.check_models(plan, stage)
        if not found:
            with tempfile.TemporaryDirectory() as scratch:
                render_stage_commands(stage, Path(scratch))
    except OSError as error:
        found.append(describe_os_error(error))
    except (StageError, ValueError) as error:
        found.append(str(error))
    return found


def _find_blocked_places(plan: Plan) -> Iterator[str]:
    """What stands where the run has to put something."""
    runs = plan.run.parent
    above = next((one for one in (runs, *runs.parents) if os.path.lexists(one)), runs)
    if not above.is_dir():
        yield f"the runs folder {runs} cannot be made: {above} is no folder; choose another with --runs"
        return
    link = runs / plan.recipe.name
    if os.path.lexists(link) and not link.is_symlink():
        yield (
            f"{link} stands where the link to the latest run of {plan.recipe.name!r} is to be; move it away, rename "
            "the recipe (name:), or choose another folder with --runs"
        )
    for folder in (plan.run, runs / STAGES, *(stage.folder for stage in plan.stages)):
        if os.path.lexists(folder) and not folder.is_dir():
            yield f"{folder} is no folder, but the run needs one there; move it away"


def list_uncounted_stages(plan: Plan) -> list[str]:
    """Stages whose prompts cannot be counted beforehand, because their model's tokenizer is not on this machine."""
    lines = []
    for stage in plan.stages:
        reads = [read for read in stage.stage.set_reads(stage.config) if read.limit is not None]
        for model in sorted({read.model for read in reads} - set(stage.context.inputs)):
            if not (Path(stage.context.model(model)) / "tokenizer_config.json").is_file():
                lines.append(
                    f"stages.{stage.name}: token limits not checked: no tokenizer of {model} in a local folder"
                )
    return lines


def inspect_plan_sets(plan: Plan) -> dict[tuple[str, str], InspectedSet | None]:
    """(stage, dataset) → what is in the set; None for one that is not made yet or cannot be read."""
    found: dict[tuple[str, str], InspectedSet | None] = {}
    for stage in plan.stages:
        for read in stage.stage.set_reads(stage.config):
            found[stage.name, read.dataset] = None
        try:
            for one in preflight.inspect_stage_sets(stage):
                found[stage.name, one.read.dataset] = one
        except StageError:
            continue  # told as a problem of the stage
    return found


def tabulate_token_lengths(plan: Plan) -> list[tuple[str, str, str, str, str]]:
    """One row per (stage, dataset): stage, dataset, rows, longest, limit — as text."""
    table = []
    inspected = inspect_plan_sets(plan)
    for stage in plan.stages:
        for read in stage.stage.set_reads(stage.config):
            one = inspected[stage.name, read.dataset]
            limit = "" if read.limit is None else f"{read.limit} ({read.key})"
            if one is None:
                state = "cannot be read" if stage.context.made(read.dataset) else "not made yet"
                table.append((stage.name, read.dataset, "", state, limit))
                continue
            rows = str(one.found.rows) + (f" − {one.found.dropped} left out" if one.found.dropped else "")
            longest = "" if read.limit is None else f"not counted: no tokenizer in {stage.context.model(read.model)}"
            if one.found.tokens is not None:
                longest = f"{one.found.tokens} ({one.found.place})" if one.found.place else "not counted"
            table.append((stage.name, read.dataset, rows, longest, limit))
    return table
