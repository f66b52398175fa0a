"""Runs a plan: one stage after the other, each in its own folder, until done or until something is wrong."""

from __future__ import annotations

import os
import shlex
import time
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from mindgpt_plugins import __version__
from mindgpt_plugins.core import folders, process
from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.core.files import read_json, write_json, write_text
from mindgpt_plugins.core.metrics import MetricsTail
from mindgpt_plugins.pipeline import display, extension
from mindgpt_plugins.pipeline.plan import Plan, PlannedStage
from mindgpt_plugins.pipeline.preflight import check_data
from mindgpt_plugins.recipe.hashing import select_hashed_settings
from mindgpt_plugins.stages.base import Command


def run_plan(plan: Plan, console: Console, ran: frozenset[str] = frozenset()) -> Path:
    """Run every stage of the plan that is not done and return the run folder.

    Args:
        plan: what to run; planned again when a gate asks for an extension.
        console: where to say so.
        ran: stages that this call has run under an earlier plan.

    Raises:
        StageError: a stage failed; the message ends with where its log is and how to go on. What was done stays done.
    """
    plan.run.mkdir(parents=True, exist_ok=True)
    _link_latest(plan)
    write_manifest(plan)
    selected = [stage for stage in plan.stages if stage.status != "not selected"]
    for number, stage in enumerate(selected, start=1):
        position = f"{number}/{len(selected)}"
        if folders.is_stage_done(stage.folder):
            console.print(f"[{position}] {stage.name}: reused {stage.folder.name}", style="green", markup=False)
            continue
        try:
            _run_stage(stage, plan, console, position)
        finally:
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


def render_stage_commands(stage: PlannedStage, folder: Path | None = None) -> list[Command]:
    """Render a stage's host config into its folder and return its commands with their full environment."""
    context = replace(stage.context, folder=folder) if folder else stage.context
    return stage.stage.render(stage.config, context)


def _run_stage(stage: PlannedStage, plan: Plan, console: Console, position: str) -> None:
    stage.folder.mkdir(parents=True, exist_ok=True)
    lock = process.Lock(stage.folder)
    try:
        problems = check_data(stage) + stage.stage.check(stage.config, stage.context)
        if problems:
            raise StageError(f"stage {stage.name!r} cannot run:\n" + "\n".join(f"  {problem}" for problem in problems))
        rendered = render_stage_commands(stage)
        environments = [_environment(command, stage, plan) for command in rendered]
        record = _record(stage, plan)
        write_json(stage.folder / "stage.json", record)
        write_text(stage.folder / "command.sh", _script(stage, rendered, environments))
        spent = _Spent(record, stage.folder / "stage.json")
        tail = MetricsTail(stage.folder / "metrics.jsonl")
        with display.StageProgress(console, stage.name, position) as progress:

            def tick(peak: int) -> None:
                progress.update(tail.update(), peak)
                spent.tick(peak)

            for command, environment in zip(rendered, environments, strict=True):
                status, peak = process.run_command(
                    [stage.python, *command.argv], folder=stage.folder, env=environment, lock=lock, tick=tick
                )
                spent.write(peak)
                if status != 0:
                    raise StageError(_failure(stage, status))
        promised = stage.stage.artefacts(stage.config, stage.context)
        missing = [f"{name} ({path})" for name, path in promised.items() if not Path(path).exists()]
        if missing:
            raise StageError(
                f"stage {stage.name!r} ended without an error but did not leave {', '.join(missing)}; "
                f"see {stage.folder / 'log.txt'}"
            )
        write_json(
            stage.folder / folders.DONE, {name: os.path.relpath(path, stage.folder) for name, path in promised.items()}
        )
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
            self.write(peak)

    def write(self, peak: int) -> None:
        """Add the seconds since the last time; ``peak`` in bytes."""
        now = time.monotonic()
        self.record["seconds"] += now - self.last
        self.record["peak_rss_bytes"] = max(self.record["peak_rss_bytes"], peak)
        self.last = now
        write_json(self.path, self.record)


def _environment(command: Command, stage: PlannedStage, plan: Plan) -> dict[str, str]:
    extra = {**stage.launch.env, **command.env}
    return process.build_child_environment(cpu=stage.context.cpu, offline=plan.recipe.offline, extra=extra)


def _record(stage: PlannedStage, plan: Plan) -> dict[str, Any]:
    """What ``stage.json`` says: everything that made the hash, and time and memory over all attempts to finish."""
    before = read_json(stage.folder / "stage.json") if (stage.folder / "stage.json").is_file() else {}
    return {
        "name": stage.name,
        "kind": stage.config.kind,
        "hash": stage.digest,
        "settings": select_hashed_settings(stage.config),
        "code": dict(stage.code),
        "seed": stage.context.seed,
        "image": plan.recipe.image.model_dump(),
        "plugins": list(plan.recipe.plugins),
        "inputs": {name: next(iter(paths.values()), "") for name, paths in stage.context.inputs.items()},
        "python": stage.python,
        "mindgpt_plugins": __version__,
        "started": before.get("started") or datetime.now(UTC).isoformat(timespec="seconds"),
        "attempts": before.get("attempts", 0) + 1,
        "seconds": before.get("seconds", 0.0),
        "peak_rss_bytes": before.get("peak_rss_bytes", 0),
    }


def _script(stage: PlannedStage, rendered: list[Command], environments: list[dict[str, str]]) -> str:
    lines = [
        "#!/usr/bin/env bash",
        f"# Stage {stage.name!r} by hand: what the runner ran. It goes on from the checkpoints in this folder.",
        "set -euo pipefail",
        f"cd {shlex.quote(str(stage.folder))}",
    ]
    lines += [
        Command(command.argv, environment).shell(stage.python)
        for command, environment in zip(rendered, environments, strict=True)
    ]
    return "\n".join(lines) + "\n"


def _failure(stage: PlannedStage, status: int) -> str:
    ended = f"was killed by signal {-status}" if status < 0 else f"exited with status {status}"
    log = stage.folder / "log.txt"
    with open(log, encoding="utf-8", errors="replace") as file:
        last = "".join(f"    {line}" for line in deque(file, maxlen=15)).rstrip("\n")
    return (
        f"stage {stage.name!r} {ended}. The end of its log:\n{last}\n"
        f"Full log: {log}\nBy hand: bash {stage.folder / 'command.sh'}\n"
        "Run the same mindgpt command again to go on from its last checkpoint."
    )


def write_manifest(plan: Plan) -> None:
    """Write the run's manifest: which folder holds which stage, and how far each one is."""
    stages = []
    for stage in plan.stages:
        record_path = stage.folder / "stage.json"
        record = read_json(record_path) if record_path.is_file() else {}
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
    previous = plan.run / "manifest.json"
    created = read_json(previous)["created"] if previous.is_file() else None
    write_json(
        previous,
        {
            "version": 1,
            "recipe": recipe.name,
            "recipe_path": str(recipe.path),
            "created": created or datetime.now(UTC).isoformat(timespec="seconds"),
            "stages": stages,
            "resolved": "recipe.resolved.yaml",
        },
    )


def _link_latest(plan: Plan) -> None:
    link = plan.run.parent / plan.recipe.name
    temporary = link.with_name(f".{link.name}.link")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(plan.run.name)
    os.replace(temporary, link)
