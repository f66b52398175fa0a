"""Preflight of a whole plan: host versions, every stage's own check and all data that is already there."""

from __future__ import annotations

import sys
from pathlib import Path

from mindgpt_plugins.core import compat
from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.pipeline import preflight
from mindgpt_plugins.pipeline.plan import Plan


def check_planned_stages(plan: Plan) -> None:
    """Raise with every problem found in the stages that would run.

    Raises:
        StageError: one line per problem, with its stage.
    """
    problems = []
    for stage in plan.stages:
        if stage.status in ("reuse", "not selected"):
            continue
        if stage.python == sys.executable:  # another interpreter's packages are checked by its own doctor
            problems += [fault for fault in map(compat.find_requirement_problem, stage.stage.hosts) if fault]
        found = stage.stage.check(stage.config, stage.context) + preflight.check_data(stage)
        problems += [f"stages.{stage.name}: {line}" for line in found]
    if problems:
        raise StageError("nothing was started:\n" + "\n".join(f"  {line}" for line in dict.fromkeys(problems)))


def list_uncounted_stages(plan: Plan) -> list[str]:
    """Stages whose prompts cannot be counted beforehand, because their model's tokenizer is not on this machine."""
    lines = []
    for stage in plan.stages:
        models = {limit.model for limit in stage.stage.token_limits(stage.config)} - set(stage.context.inputs)
        for model in sorted(models):
            if not (Path(stage.context.model(model)) / "tokenizer_config.json").is_file():
                lines.append(
                    f"stages.{stage.name}: token limits not checked: no tokenizer of {model} in a local folder"
                )
    return lines


def tabulate_token_lengths(plan: Plan) -> list[tuple[str, str, str, str, str]]:
    """One row per (stage, dataset): stage, dataset, rows, longest, limit — as text."""
    table = []
    for stage in plan.stages:
        for limit in stage.stage.token_limits(stage.config):
            folder, name = stage.context.dataset(limit.dataset)
            rows, longest = "", "not made yet"
            if stage.context.made(limit.dataset) and (folder / "dataset_info.json").is_file():
                model = stage.context.model(limit.model)
                found = preflight.measure_longest_row(folder, name, limit, model, stage.context.max_pixels)
                rows = str(found.rows) if found else ""
                longest = f"{found.tokens} ({found.place})" if found else f"not counted: no tokenizer in {model}"
            table.append((stage.name, limit.dataset, rows, longest, f"{limit.limit} ({limit.key})"))
    return table
