"""Preflight of a whole plan: host versions, every stage's own check and all data that is already there."""

from __future__ import annotations

import sys
from pathlib import Path

from mindgpt_plugins.core import compat
from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.pipeline import preflight
from mindgpt_plugins.pipeline.plan import Plan
from mindgpt_plugins.pipeline.preflight import InspectedSet


def check_planned_stages(plan: Plan) -> None:
    """Raise with every problem found in the stages that would run.

    Raises:
        StageError: one line per problem, with its stage.
    """
    if problems := find_plan_problems(plan):
        raise StageError("nothing was started:\n" + "\n".join(f"  {line}" for line in problems))


def find_plan_problems(plan: Plan) -> list[str]:
    """Every problem in the stages that would run, with its stage."""
    problems = []
    for stage in plan.stages:
        if stage.status in ("reuse", "not selected"):
            continue
        if stage.python == sys.executable:  # another interpreter's packages are checked by its own doctor
            problems += [fault for fault in map(compat.find_requirement_problem, stage.stage.hosts) if fault]
        found = stage.stage.check(stage.config, stage.context) + preflight.check_data(stage)
        problems += [f"stages.{stage.name}: {line}" for line in found]
    return list(dict.fromkeys(problems))


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
