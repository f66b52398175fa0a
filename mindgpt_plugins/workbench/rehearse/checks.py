"""What is found without running anything: the whole recipe with all of its data, its chat templates, its patches."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mindgpt_plugins.core import compat, device
from mindgpt_plugins.core.dataset_files import read_set_info
from mindgpt_plugins.core.process import child_environment
from mindgpt_plugins.core.schema import rename_references
from mindgpt_plugins.pipeline import plan as planner
from mindgpt_plugins.pipeline import preflight
from mindgpt_plugins.pipeline.plan import Plan, PlannedStage
from mindgpt_plugins.recipe.schema import Recipe
from mindgpt_plugins.stages.sft.config import TrainingConfig
from mindgpt_plugins.workbench.rehearse.findings import Finding, State

_ROW = re.compile(r"^row (\d+)")
_SECONDS = 300


def original(recipe: Recipe, models: Mapping[str, Path], runs: Path) -> Plan:
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
    launch = recipe.launch.model_copy(
        update={
            side: getattr(recipe.launch, side).model_copy(update={"python": None})
            for side in recipe.launch.model_fields
        }
    )
    return planner.make(recipe.model_copy(update={"stages": stages, "launch": launch}), runs)


def check(plan: Plan, interpreters: Mapping[str, str | None]) -> tuple[list[Finding], dict[str, int]]:
    """Everything ``mindgpt validate`` looks at, and every column a trainer will need, stage by stage.

    Args:
        plan: from :func:`original`.
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
            problems += _columns(stage)
        found += [Finding(stage.name, "recipe and data", "failed", line) for line in dict.fromkeys(problems)]
        sound += not problems
        told = []
        for limit in stage.stage.token_limits(stage.config):
            counted = None if problems else _count(stage, limit)
            if counted is not None:
                told.append(f"{limit.dataset}: {counted.rows} rows, longest {counted.tokens} of {limit.limit} tokens")
                if match := _ROW.match(counted.place):
                    longest[limit.dataset] = int(match[1])
        if told:
            found.append(Finding(stage.name, "recipe and data", "proven", "; ".join(told)))
    text = f"keys, names, divisibility, files and columns of {sound} of {len(plan.stages)} stages"
    return [Finding("", "recipe and data", "proven", text), *found], longest


def _versions(stage: PlannedStage) -> list[str]:
    faults = (compat.problem(host, compat.installed(host)) for host in compat.SIDES[stage.stage.side])
    return [fault for fault in faults if fault]


def _count(stage: PlannedStage, limit: Any) -> preflight.Longest | None:
    folder, name = stage.context.dataset(limit.dataset)
    if not (folder / "dataset_info.json").is_file():
        return None
    return preflight.count(folder, name, limit, stage.context.model(limit.model), stage.context.max_pixels)


def outside_sets(stage: PlannedStage) -> Iterator[tuple[str, Path, str]]:
    """Reference, folder and name of every set a stage reads that no stage makes."""
    for to, value in stage.config.references():
        if to == "dataset" and value.rpartition("/")[0] not in stage.context.inputs:
            yield value, *stage.context.dataset(value)


def _columns(stage: PlannedStage) -> list[str]:
    """Columns that trainers meet in mid-run: of every row of the sets that are here already."""
    from mindgpt_data.export import read_set
    from mindgpt_data.schema.rows import RowError

    sets = list(outside_sets(stage))
    if isinstance(stage.config, TrainingConfig):
        return _training_columns(stage) if len(sets) == len(stage.config.sets()) else []
    problems = []
    for reference, folder, name in sets:
        try:
            if stage.config.kind == "rl":
                problems += [f"dataset {reference!r}: {line}" for line in parquet_problems(folder / f"{name}.parquet")]
            elif stage.config.kind != "model":
                read_set(folder, name)
        except RowError as error:
            problems.append(f"dataset {reference!r}: {error}")
    return problems


def _training_columns(stage: PlannedStage) -> list[str]:
    from mindgpt_plugins.curriculum.base import CurriculumError
    from mindgpt_plugins.llamafactory_ext.columns import DataError
    from mindgpt_plugins.llamafactory_ext.forecast import read
    from mindgpt_plugins.llamafactory_ext.launch import read as read_yaml
    from mindgpt_plugins.llamafactory_ext.settings import SettingsError, parse

    with tempfile.TemporaryDirectory() as scratch:
        stage.stage.render(stage.config, replace(stage.context, folder=Path(scratch)))
        host = read_yaml(Path(scratch) / "train.yaml", [])
        try:
            for _ in read(host, parse(host.pop("mindgpt"))):
                pass
        except (DataError, SettingsError) as error:
            return [str(error)]
        except CurriculumError:  # the host selects the rows itself; it will look at them when it runs
            return []
    return []


def parquet_problems(path: Path) -> list[str]:
    """Columns that verl or our rewards need and a parquet lacks."""
    from pyarrow import parquet, types

    if not path.is_file():
        return [f"{path} does not exist; an rl stage reads parquet in verl's layout (mindgpt_data.export.write_set)"]
    schema = parquet.read_schema(path)
    problems = []
    for name, inner in (
        ("prompt", ()),
        ("data_source", ()),
        ("reward_model", ("ground_truth",)),
        ("extra_info", ("uid",)),
    ):
        if name not in schema.names:
            problems.append(f"{path} has no column {name!r}; it has: {', '.join(schema.names)}")
            continue
        kind = schema.field(name).type
        known = [field.name for field in kind] if types.is_struct(kind) else []
        problems += [f"{path}: column {name!r} has no field {one!r}" for one in inner if one not in known]
    return problems


_TEMPLATES = """
import contextlib, io, json, sys
from mindgpt_plugins.llamafactory_ext.template_check import main
for arguments in json.loads(sys.argv[1]):
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = main(arguments)
    print("CHECKED" + json.dumps([status, said.getvalue()]), flush=True)
"""


def templates(asked: list[tuple[PlannedStage, str]]) -> list[Finding]:
    """What LLaMA-Factory's template makes of real rows against what the model's own chat template makes of them.

    Args:
        asked: training stages and one of their sets each. Equal questions are asked once, all in one process.
    """
    questions: dict[tuple[str, ...], list[tuple[PlannedStage, str]]] = {}
    for stage, reference in asked:
        config: Any = stage.config
        folder, name = stage.context.dataset(reference)
        file = str(read_set_info(folder, name).entry.get("file_name", f"{name}.json"))
        arguments = [stage.context.model(config.model), config.template, str(folder / file)]
        if system := config.llamafactory.get("default_system"):
            arguments += ["--default-system", str(system)]
        if config.llamafactory.get("enable_thinking") is False:
            arguments.append("--no-thinking")
        questions.setdefault(tuple(arguments), []).append((stage, reference))
    if not questions:
        return []
    _, said = in_process(["-c", _TEMPLATES, json.dumps(list(questions))])
    answers = [json.loads(line.removeprefix("CHECKED")) for line in said.splitlines() if line.startswith("CHECKED")]
    answers += [[1, f"the check ended early: {_last(said)}"]] * (len(questions) - len(answers))
    found = []
    for stages, (status, text) in zip(questions.values(), answers, strict=True):
        stage, reference = stages[0]
        state: State = "proven" if status == 0 else "failed"
        also = f" (also in {', '.join(sorted({s.name for s, _ in stages[1:]}))})" if len(stages) > 1 else ""
        found.append(Finding(stage.name, "chat template", state, f"{reference}{also}: {_telling(text)}"))
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
        outcome = catalog.one(name, "on", accelerator=True)
        state, reason = outcome.state, outcome.reason
    except ImportError as error:
        state, reason = "not needed", f"not installed here: {error}"
    except PatchRefused as error:
        state, reason = "refused", str(error)
    except Exception as error:
        state, reason = "refused", f"{type(error).__name__}: {error}"
    print("PATCH" + json.dumps([name, state, reason]), flush=True)
"""


def patches(stages: list[PlannedStage], plugins: tuple[str, ...]) -> list[Finding]:
    """Apply every patch that the stages' recipe does not turn off to the installed hosts, in a process of its own.

    A run on CPU leaves out what pays on accelerators only; whether it fits the host can be seen here all the same.
    """
    from mindgpt_patches import catalog

    wanted: dict[str, list[str]] = {}
    for stage in stages:
        for name, mode in catalog.modes(getattr(stage.config, "patches", {}), stage.config.kind).items():
            if mode != "off" and catalog.CATALOG[name].target:
                wanted.setdefault(name, []).append(stage.name)
    if not wanted:
        return []
    _, said = in_process(["-c", _PATCHES, json.dumps(list(wanted)), json.dumps(plugins)])
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


def in_process(arguments: list[str], python: str = sys.executable) -> tuple[int, str]:
    """Run a check in a process like a stage's; its status and everything it said."""
    env = child_environment(cpu=device.resolve("auto") == "cpu", offline=True, extra={})
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
