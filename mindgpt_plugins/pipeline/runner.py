"""Runs a plan: one stage after the other, each in its own folder, until done or until something is wrong."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import shutil
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from mindgpt_plugins import __version__
from mindgpt_plugins.core import artefacts, folders, process, state
from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.core.files import remove_leftovers, replace_file, replace_link, write_json, write_text
from mindgpt_plugins.core.metrics import MetricsTail
from mindgpt_plugins.core.own_folders import mark_own_folder
from mindgpt_plugins.pipeline import display, extension, soundness
from mindgpt_plugins.pipeline.plan import Plan, PlannedStage
from mindgpt_plugins.pipeline.preflight import check_data
from mindgpt_plugins.pipeline.reads import write_read_record
from mindgpt_plugins.stages.base import Command


def run_plan(plan: Plan, console: Console, ran: frozenset[str] = frozenset()) -> Path:
    """Run every stage of the plan that is not done and return the run folder.

    Args:
        plan: what to run; planned again when a gate asks for an extension.
        console: where to say so.
        ran: stages that this call has run under an earlier plan.

    Raises:
        StageError: a stage failed; the message ends with where its log is and how to go on. What was done stays done.
            Or a variable that a stage takes from the environment is not set; then nothing was started.
    """
    _check_variables(plan)
    plan.run.mkdir(parents=True, exist_ok=True)
    plan.memory.save()
    mark_own_folder(plan.run.parent / "stages")
    replace_link(plan.run.parent / plan.recipe.name, plan.run.name)  # the latest run of the recipe
    write_manifest(plan)
    selected = [stage for stage in plan.stages if stage.status != "not selected"]
    for number, stage in enumerate(selected, start=1):
        position = f"{number}/{len(selected)}"
        if folders.is_stage_done(stage.folder):
            console.print(f"[{position}] {stage.name}: reused {stage.folder.name}", style="green", markup=False)
            continue
        try:
            _run_stage(stage, plan, console, position)
        except BaseException as error:
            with contextlib.suppress(OSError):  # why the stage ended is to be told, not that this cannot be written
                write_manifest(plan)
            if isinstance(error, OSError) and error.errno in _FULL:
                raise StageError(_full(stage, f"{error.filename or stage.folder}: {error.strerror}")) from error
            raise
        write_manifest(plan)
        ran |= {stage.name}
        if extension.is_extension_owed(plan.recipe, stage.name, stage.folder):
            again = plan.remake(ran)
            added = ", ".join(name for name in again.recipe.stages if name not in plan.recipe.stages)
            console.print(
                f"{stage.name}: the gate failed, so the run is extended by {added}", style="yellow", markup=False
            )
            return run_plan(again, console, ran)
    return plan.run


def _check_variables(plan: Plan) -> None:
    """Before the first stage, not before the one that needs it, hours later."""
    missing = {
        f"  {name} is not set; {_explain_variable(stage, name)}"
        for stage in plan.stages
        if stage.status in ("run", "resume")
        for name in stage.launch.env_from
        if name not in os.environ
    }
    if missing:
        raise StageError("nothing was started:\n" + "\n".join(sorted(missing)))


def render_stage_commands(stage: PlannedStage, folder: Path | None = None) -> list[Command]:
    """Render a stage's host config into its folder and return its commands with their full environment."""
    context = replace(stage.context, folder=folder) if folder else stage.context
    return stage.stage.render(stage.config, context)


def _run_stage(stage: PlannedStage, plan: Plan, console: Console, position: str) -> None:
    stage.folder.mkdir(parents=True, exist_ok=True)
    lock = process.Lock(stage.folder)
    try:
        soundness.refuse_diverged_stage(stage.name, stage.config, stage.folder)
        remove_leftovers(stage.folder)
        _take_paid_answers(stage)
        if damaged := _describe_damaged_inputs(stage):
            raise StageError(f"stage {stage.name!r} cannot run: {damaged}")
        problems = check_data(stage) + stage.stage.check(stage.config, stage.context)
        if problems:
            raise StageError(f"stage {stage.name!r} cannot run:\n" + "\n".join(f"  {problem}" for problem in problems))
        rendered = render_stage_commands(stage)
        environments = [_environment(command, stage, plan, stage.launch.reveal_env()) for command in rendered]
        record = _record(stage, plan)
        write_read_record(stage.folder, stage.stamps)
        write_json(stage.folder / state.STAGE_RECORD, record)
        write_text(stage.folder / "command.sh", _script(stage, rendered, plan))
        spent = _Spent(record, stage.folder / state.STAGE_RECORD)
        tail = MetricsTail(stage.folder / "metrics.jsonl")
        warnings = soundness.WarningsTail(console, stage.name, stage.folder)
        with display.StageProgress(console, stage.name, position) as progress:

            def tick(peak: int) -> None:
                progress.update(tail.update(), peak)
                warnings.show()
                spent.tick(peak)

            for command, environment in zip(rendered, environments, strict=True):
                status, peak = process.run_command(
                    [stage.python, *command.argv], folder=stage.folder, env=environment, lock=lock, tick=tick
                )
                spent.write(peak)
                if status != 0:
                    raise StageError(soundness.describe_stop(stage.name, stage.folder) or _failure(stage, status))
        promised = stage.stage.artefacts(stage.config, stage.context)
        missing = [f"{name} ({path})" for name, path in promised.items() if not Path(path).exists()]
        if missing:
            raise StageError(
                f"stage {stage.name!r} ended without an error but did not leave {', '.join(missing)}; "
                f"see {stage.folder / 'log.txt'}"
            )
        soundness.check_saved_weights(stage.name, stage.config, stage.folder, promised)
        artefacts.record_artefacts(stage.folder, promised)
        console.print(
            f"[{position}] {stage.name}: done in {display.format_wall_time(record['seconds'])}, "
            f"peak {display.format_gigabytes(record['peak_rss_bytes'])}",
            style="green",
            markup=False,
        )
    finally:
        lock.release()


class _Spent:
    """Keeps time and memory of ``stage.json`` up to date while the stage runs: a killed attempt counts as well."""

    def __init__(self, record: dict[str, Any], path: Path, every: float = 5.0):
        self.record, self.path, self.every = record, path, every
        self.last = time.monotonic()

    def tick(self, peak: int) -> None:
        """Write when the last time was some seconds ago."""
        if time.monotonic() - self.last >= self.every:
            with contextlib.suppress(OSError):  # no reason to end a training that needs no space now
                self.write(peak)

    def write(self, peak: int) -> None:
        """Add the seconds since the last time; ``peak`` in bytes."""
        now = time.monotonic()
        self.record["seconds"] += now - self.last
        self.record["peak_rss_bytes"] = max(self.record["peak_rss_bytes"], peak)
        self.last = now
        write_json(self.path, self.record)


def _environment(command: Command, stage: PlannedStage, plan: Plan, own: Mapping[str, str]) -> dict[str, str]:
    """What a command gets beside the user's environment; ``own`` is what the recipe's ``launch`` gives the side."""
    extra = {**own, **command.env}
    return process.build_child_environment(cpu=stage.context.cpu, offline=plan.recipe.offline, extra=extra)


def _record(stage: PlannedStage, plan: Plan) -> dict[str, Any]:
    """What ``stage.json`` says: everything that made the hash, and time and memory over all attempts to finish."""
    before: Mapping[str, Any] = state.recover_stage_record(stage.folder) or {}
    return {
        "name": stage.name,
        "kind": stage.config.kind,
        "hash": stage.digest,
        **stage.identity,
        "inputs": {name: next(iter(paths.values()), "") for name, paths in stage.context.inputs.items()},
        "python": stage.python,
        "mindgpt_plugins": __version__,
        "started": before.get("started") or datetime.now(UTC).isoformat(timespec="seconds"),
        "attempts": before.get("attempts", 0) + 1,
        "seconds": before.get("seconds", 0.0),
        "peak_rss_bytes": before.get("peak_rss_bytes", 0),
    }


def _script(stage: PlannedStage, rendered: list[Command], plan: Plan) -> str:
    # The page shows this file: of what ``launch`` gives the side it holds names, and the shell that runs it the values.
    named = {name: f"${{{name}}}" for name in (*stage.launch.env, *stage.launch.env_from)}
    lines = [
        "#!/usr/bin/env bash",
        f"# Stage {stage.name!r} by hand: what the runner ran. It goes on from the checkpoints in this folder.",
        "set -euo pipefail",
        *(f': "${{{name}?{_explain_variable(stage, name)}}}"' for name in named),
        f"cd {shlex.quote(str(stage.folder))}",
    ]
    lines += [
        Command(command.argv, _environment(command, stage, plan, named)).shell(stage.python, named.values())
        for command in rendered
    ]
    return "\n".join(lines) + "\n"


def _explain_variable(stage: PlannedStage, name: str) -> str:
    given = "env" if name in stage.launch.env else "env_from"
    return f"export it; the recipe names it in launch.{stage.stage.side}.{given}"


_FULL = (errno.ENOSPC, errno.EDQUOT)
_NO_SPACE = 1 << 20
"""Free bytes under which a disk counts as full: a process that met the end may have removed its half file."""


def _failure(stage: PlannedStage, status: int) -> str:
    ended = f"was killed by signal {-status}" if status < 0 else f"exited with status {status}"
    log = stage.folder / "log.txt"
    with open(log, encoding="utf-8", errors="replace") as file:
        lines = deque(file, maxlen=15)
    told = next((text for text in map(os.strerror, _FULL) if any(text in line for line in lines)), "")
    if told or shutil.disk_usage(stage.folder).free < _NO_SPACE:
        return _full(stage, f"{stage.folder}: {told or os.strerror(errno.ENOSPC)}") + f"\nFull log: {log}"
    last = "".join(f"    {line}" for line in lines).rstrip("\n")
    damaged = _describe_damaged_inputs(stage)
    return (
        f"stage {stage.name!r} {ended}. The end of its log:\n{last}\n"
        f"Full log: {log}\nBy hand: bash {stage.folder / 'command.sh'}\n"
        + (damaged or "Run the same mindgpt command again to go on from its last checkpoint.")
    )


def _full(stage: PlannedStage, where: str) -> str:
    return (
        f"stage {stage.name!r} stopped: {where}; free some space, then run the same mindgpt command again to go on "
        "from its last checkpoint"
    )


def _take_paid_answers(stage: PlannedStage) -> None:
    """Copy what was paid for from the damaged attempt that this one replaces."""
    if stage.damage is None:
        return
    for source in (path for pattern in stage.stage.paid for path in sorted(stage.damage.folder.glob(pattern))):
        target = stage.folder / source.relative_to(stage.damage.folder)
        if not target.exists():
            with replace_file(target) as aside:
                shutil.copyfile(source, aside)


def _describe_damaged_inputs(stage: PlannedStage) -> str:
    """Which stages that this one reads are damaged, and what to do; empty when none is."""
    found = {name: artefacts.find_damage(folder) for name, folder in stage.context.input_folders.items()}
    lines = [f"stage {name!r}, which it reads, is damaged: {damage}" for name, damage in found.items() if damage]
    return "; ".join([*lines, "`mindgpt run` of this recipe makes it again in a new folder"]) if lines else ""


def write_manifest(plan: Plan) -> None:
    """Write the run's manifest: which folder holds which stage, and how far each one is."""
    stages = []
    for stage in plan.stages:
        record: Mapping[str, Any] = state.recover_stage_record(stage.folder) or {}
        done = folders.is_stage_done(stage.folder)
        status = ("reused" if stage.status == "reuse" else "done") if done else ("failed" if record else "pending")
        stages.append(
            {
                "name": stage.name,
                "kind": stage.config.kind,
                "folder": str(stage.folder),
                "hash": stage.digest,
                "status": status,
                "seconds": record.get("seconds", 0.0),
                "peak_rss_bytes": record.get("peak_rss_bytes", 0),
                "inputs": list(stage.context.inputs),
            }
        )
    import yaml

    recipe = plan.recipe
    head = {key: value for key, value in recipe.model_dump(mode="json").items() if key not in ("stages", "path")}
    resolved = {**head, "stages": {name: config.model_dump(mode="json") for name, config in recipe.stages.items()}}
    write_text(plan.run / "recipe.resolved.yaml", yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True))
    previous = state.recover_manifest(plan.run)
    created = previous.get("created") if previous is not None else None
    write_json(
        plan.run / state.MANIFEST,
        {
            "version": 1,
            "recipe": recipe.name,
            "recipe_path": str(recipe.path),
            "created": created or datetime.now(UTC).isoformat(timespec="seconds"),
            "stages": stages,
            "resolved": "recipe.resolved.yaml",
            "pictures": sorted(_list_picture_folders(plan)),
        },
    )


def _list_picture_folders(plan: Plan) -> set[str]:
    """Folders whose pictures pages may embed: those of the sets that stages read, and those that the recipe lists."""
    listed = {(plan.recipe.folder / Path(one).expanduser()).resolve() for one in plan.recipe.report.pictures}
    read = {
        stage.context.dataset(value)[0]
        for stage in plan.stages
        for to, value in stage.config.references()
        if to == "dataset"
    }
    return {str(folder) for folder in listed | read}
