"""What is found without running anything: the whole recipe with all of its data, its chat templates, its patches."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from mindgpt_plugins.core import compat, device
from mindgpt_plugins.core.process import build_child_environment
from mindgpt_plugins.core.schema import rename_references
from mindgpt_plugins.pipeline import plan as planner
from mindgpt_plugins.pipeline import preflight
from mindgpt_plugins.pipeline.plan import Plan, PlannedStage
from mindgpt_plugins.recipe.schema import Recipe
from mindgpt_plugins.stages.rehearsal import Finding, NamedSet, SetCheck, State

_ROW = re.compile(r"^row (\d+)")
_SECONDS = 300


def plan_original_recipe(recipe: Recipe, models: Mapping[str, Path], runs: Path) -> Plan:
    """Plan of the recipe itself, with local folders in place of its models.

    Args:
        recipe: the user's.
        models: model reference → local folder.
        runs: folder it would run in; nothing is written.
    """
    names = {reference: str(folder) for reference, folder in models.items()}
    stages = {}
    for name, config in recipe.stages.items():
        renamed = rename_references(config, names)
        stages[name] = renamed.model_copy(update={"python": None})
    launch = {side: one.model_copy(update={"python": None}) for side, one in recipe.launch.items()}
    return planner.make_run_plan(recipe.model_copy(update={"stages": stages, "launch": launch}), runs)


def check_original_plan(plan: Plan, interpreters: Mapping[str, str | None]) -> tuple[list[Finding], dict[str, int]]:
    """Everything ``mindgpt validate`` looks at, and every column a trainer will need, stage by stage.

    Args:
        plan: from :func:`plan_original_recipe`.
        interpreters: stage → interpreter the recipe names; versions are checked in this one only.

    Returns:
        Findings, and the place of the longest row of every set that was counted, by dataset reference.
    """
    found: list[Finding] = []
    longest: dict[str, int] = {}
    sound = 0
    for stage in plan.stages:
        problems = [] if interpreters.get(stage.name) else _versions(stage)
        problems += stage.stage.check(stage.config, stage.context)
        problems += preflight.check_data(stage)
        if not problems:
            rules = stage.stage.rehearsal_rules()
            problems += rules.find_column_problems(stage.config, stage.context, list_outside_sets(stage))
        found += [Finding(stage.name, "recipe and data", "failed", line) for line in dict.fromkeys(problems)]
        sound += not problems
        told = []
        for one in [] if problems else preflight.inspect_stage_sets(stage):
            read, counted = one.read, one.found
            if read.limit is not None and counted.tokens is not None:
                told.append(f"{read.dataset}: {counted.rows} rows, longest {counted.tokens} of {read.limit} tokens")
                if match := _ROW.match(counted.place):
                    longest[read.dataset] = int(match[1])
        if told:
            found.append(Finding(stage.name, "recipe and data", "proven", "; ".join(told)))
    text = f"keys, names, divisibility, files and columns of {sound} of {len(plan.stages)} stages"
    return [Finding("", "recipe and data", "proven", text), *found], longest


def _versions(stage: PlannedStage) -> list[str]:
    return [fault for fault in map(compat.find_requirement_problem, stage.stage.hosts) if fault]


def list_outside_sets(stage: PlannedStage) -> list[NamedSet]:
    """Every set a stage reads that no stage makes."""
    return [one for one in _sets(stage) if one.reference.rpartition("/")[0] not in stage.context.inputs]


def list_made_sets(stage: PlannedStage) -> list[NamedSet]:
    """Every set a stage reads that an earlier stage makes."""
    return [one for one in _sets(stage) if one.reference.rpartition("/")[0] in stage.context.inputs]


def _sets(stage: PlannedStage) -> list[NamedSet]:
    return [
        NamedSet(value, *stage.context.dataset(value)) for to, value in stage.config.references() if to == "dataset"
    ]


_CHECKS = """
import contextlib, io, importlib, json, sys
main = importlib.import_module(sys.argv[1]).main
for arguments in json.loads(sys.argv[2]):
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = main(arguments)
    print("CHECKED" + json.dumps([status, said.getvalue()]), flush=True)
"""


def check_sets(asked: Iterable[tuple[PlannedStage, NamedSet]]) -> list[Finding]:
    """What stages say about sets in a process of their own, e.g. what a host's chat template makes of their rows.

    Args:
        asked: stages and one of their sets each. Equal questions are asked once, all of a module in one process.
    """
    modules: dict[str, dict[SetCheck, list[tuple[PlannedStage, NamedSet]]]] = {}
    for stage, one in asked:
        check = stage.stage.rehearsal_rules().check_set(stage.config, stage.context, one)
        if check is not None:
            modules.setdefault(check.module, {}).setdefault(check, []).append((stage, one))
    found = []
    for module, questions in modules.items():
        _, said = run_check_process(["-c", _CHECKS, module, json.dumps([check.arguments for check in questions])])
        answers = [json.loads(line.removeprefix("CHECKED")) for line in said.splitlines() if line.startswith("CHECKED")]
        answers += [[1, f"the check ended early: {_last(said)}"]] * (len(questions) - len(answers))
        for (check, stages), (status, text) in zip(questions.items(), answers, strict=True):
            stage, one = stages[0]
            state: State = "proven" if status == 0 else "failed"
            also = f" (also in {', '.join(sorted({s.name for s, _ in stages[1:]}))})" if len(stages) > 1 else ""
            found.append(Finding(stage.name, check.topic, state, f"{one.reference}{also}: {_telling(text)}"))
    return found


def _telling(text: str) -> str:
    """What a check said, without what the host printed before."""
    start = max(0, *(text.rfind(word) for word in ("\ntemplate '", "error: ", "note (")))
    return " ".join(text[start:].split())


_PATCHES = """
import json, sys
from mindgpt_patches import PatchRefused, catalog
from mindgpt_plugins.core.registry import load_plugins
load_plugins(json.loads(sys.argv[2]))
for name in json.loads(sys.argv[1]):
    try:
        outcome = catalog.apply_patch(name, "on", accelerator=True)
        state, reason = outcome.state, outcome.reason
    except ImportError as error:
        state, reason = "not needed", f"not installed here: {error}"
    except PatchRefused as error:
        state, reason = "refused", str(error)
    except Exception as error:
        state, reason = "refused", f"{type(error).__name__}: {error}"
    print("PATCH" + json.dumps([name, state, reason]), flush=True)
"""


def check_patches(stages: Iterable[PlannedStage], plugins: tuple[str, ...]) -> list[Finding]:
    """Apply every patch that training stages do not turn off to the installed hosts, in a process of its own.

    A run on CPU leaves out what pays on accelerators only; whether it fits the host can be seen here all the same.
    """
    from mindgpt_patches import catalog

    wanted: dict[str, list[str]] = {}
    for stage in stages:
        learning = stage.stage.rehearsal_rules().learning(stage.config)
        for name, mode in (learning.patches if learning is not None else {}).items():
            if mode != "off" and catalog.CATALOG[name].target:
                wanted.setdefault(name, []).append(stage.name)
    if not wanted:
        return []
    _, said = run_check_process(["-c", _PATCHES, json.dumps(list(wanted)), json.dumps(plugins)])
    results = [json.loads(line.removeprefix("PATCH")) for line in said.splitlines() if line.startswith("PATCH")]
    found = []
    for name, state, reason in results:
        where = ", ".join(wanted[name])
        if state == "refused" and "need CUDA" in reason:
            found.append(
                Finding("", "patches", "not on CPU", f"{name} (stages {where}): {reason.partition('. Set')[0]}")
            )
        elif state == "refused":
            text = f"{name} (stages {where}) does not fit the installed host: {reason}"
            found.append(Finding("", "patches", "failed", text))
    for name in wanted.keys() - {name for name, _, _ in results}:
        found.append(Finding("", "patches", "failed", f"{name} ended the process that applied it: {_last(said)}"))
    sound = [
        f"{name}{'' if state == 'applied' else f' ({state}: {reason})'}"
        for name, state, reason in results
        if state != "refused"
    ]
    if sound:
        found.append(Finding("", "patches", "proven", f"fit the installed hosts: {', '.join(sound)}"))
    return found


def run_check_process(arguments: list[str], python: str = sys.executable) -> tuple[int, str]:
    """Run a check in a process like a stage's; its status and everything it said."""
    env = build_child_environment(cpu=device.resolve_device("auto") == "cpu", offline=True, extra={})
    try:
        done = subprocess.run(
            [python, *arguments], env={**os.environ, **env}, capture_output=True, text=True, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        return 124, f"no answer in {_SECONDS} s"
    return done.returncode, done.stdout + done.stderr


def _last(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1] if lines else "no output"
