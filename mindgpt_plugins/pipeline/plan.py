"""What a run would do, decided before it does anything: which stages are reused, resumed or run, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from mindgpt_plugins.core import artefacts, device, folders, interpreter, state
from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.core.registry import get_registered
from mindgpt_plugins.core.schema import StageConfig
from mindgpt_plugins.pipeline import extension
from mindgpt_plugins.recipe.hashing import hash_stage, select_hashed_settings
from mindgpt_plugins.recipe.schema import Launch, Recipe
from mindgpt_plugins.stages.base import Context, Stage

Status = Literal["reuse", "resume", "run", "not selected"]


@dataclass(frozen=True)
class PlannedStage:
    """One stage of a plan."""

    name: str
    config: StageConfig
    stage: Stage[Any]
    digest: str
    folder: Path
    code: Mapping[str, str]
    """Module → digest of everything the stage runs."""
    status: Status
    reason: str
    context: Context
    launch: Launch
    python: str
    damage: artefacts.Damage | None = None
    """What is damaged of an earlier attempt, which is why the stage runs (or is not reused)."""
    inspected: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)
    """What preflight found in the stage's sets, so that one command reads each once; its own."""


@dataclass(frozen=True)
class Plan:
    """All stages of a recipe in order, and the run folder that will list them."""

    recipe: Recipe
    run: Path
    stages: tuple[PlannedStage, ...]
    remake: Callable[[frozenset[str]], Plan]
    """Plans again after a gate has asked for an extension; takes the stages that have been run since."""


def make_run_plan(
    recipe: Recipe,
    runs: Path,
    *,
    until: str | None = None,
    start: str | None = None,
    fresh: bool = False,
    verify: bool = False,
    ran: frozenset[str] = frozenset(),
) -> Plan:
    """Plan a run; a finished gate that failed and may extend adds its stages (see :mod:`.extension`).

    Args:
        recipe: The validated recipe.
        runs: Folder for all runs.
        until: Last stage to run.
        start: First stage to run; everything before it must be done already.
        fresh: Run the selected stages again in new folders even if they are done.
        verify: Read every artefact of the stages that are done and compare its digest; else size and time are enough.
        ran: Stages that ``fresh`` no longer concerns, because they have just been run.

    Raises:
        StageError: ``until`` or ``start`` names no stage, a stage before ``start`` is not done, or a gate would extend
            something that is not trained.
    """
    extension.check_extension_gates(recipe)
    while True:
        plan = _make(recipe, runs, until, start, fresh, verify, ran)
        gate = next(
            (stage.name for stage in plan.stages if extension.is_extension_owed(recipe, stage.name, stage.folder)), None
        )
        if gate is None:
            return plan
        recipe = extension.extend_recipe(recipe, gate)


def _make(
    recipe: Recipe,
    runs: Path,
    until: str | None,
    start: str | None,
    fresh: bool,
    verify: bool,
    ran: frozenset[str],
) -> Plan:
    order = list(recipe.stages)
    for option, value in (("--until", until), ("--from", start)):
        if value is not None and value not in order:
            raise StageError(f"{option} {value}: the recipe has no such stage; it has: {', '.join(order)}")
    first = order.index(start) if start else 0
    last = order.index(extension.find_last_extension(until, order)) if until else len(order) - 1
    if first > last:
        raise StageError(f"--from {start} comes after --until {until}; nothing would run")
    previous = _previous_records(runs / recipe.name)
    identity: dict[str, str] = {}
    promised: dict[str, Mapping[str, str]] = {}
    planned: list[PlannedStage] = []
    for position, name in enumerate(order):
        config = recipe.stages[name]
        stage = get_registered("stage", config.kind)()
        inputs = recipe.inputs(name)
        code = type(stage).code()
        digest = hash_stage(recipe, name, code, {i: identity[i] for i in inputs})
        selected = first <= position <= last
        attempt = max(1, folders.find_latest_attempt(runs, name, digest))
        folder = folders.locate_stage_folder(runs, name, digest, attempt).resolve()
        damage = artefacts.verify_artefacts(folder) if verify and name not in ran else artefacts.find_damage(folder)
        if selected and folder.is_dir() and (damage is not None or (fresh and name not in ran)):
            # What is left of a damaged attempt must not be gone on from: who knows what else of it is damaged?
            attempt += 1
            folder = folders.locate_stage_folder(runs, name, digest, attempt).resolve()
        identity[name] = f"{digest}.{attempt}"
        made = {stage.name: stage.folder for stage in planned if stage.name in inputs}
        launch = recipe.launch_of(stage.side)
        python = interpreter.resolve_interpreter(
            config.python or launch.python, recipe.folder, "launch.*.python or a stage's python"
        )
        context = _context(recipe, name, config, folder, {i: promised[i] for i in inputs}, made, python)
        promised[name] = stage.artefacts(config, context)
        of_inputs = [p for p in planned if p.name in inputs]
        status, reason = _status(folder, selected, damage, previous.get(name), config, code, of_inputs)
        if position < first and status != "reuse":
            why = "it is not" if damage is None else str(damage)
            raise StageError(f"--from {start} needs {name!r} to be done, but {why}; run without --from first")
        planned.append(
            PlannedStage(
                name,
                config,
                stage,
                digest,
                folder,
                code,
                status,
                reason,
                context,
                launch,
                python,
                damage,
            )
        )
    run_identity = folders.digest_run(identity)
    remake = partial(_remake, recipe, runs, until, start, fresh)
    return Plan(recipe, (runs / f"{recipe.name}-{run_identity}").resolve(), tuple(planned), remake)


def _remake(recipe: Recipe, runs: Path, until: str | None, start: str | None, fresh: bool, ran: frozenset[str]) -> Plan:
    return make_run_plan(recipe, runs, until=until, start=start, fresh=fresh, ran=ran)


def _context(
    recipe: Recipe,
    name: str,
    config: StageConfig,
    folder: Path,
    inputs: Mapping[str, Mapping[str, str]],
    input_folders: Mapping[str, Path],
    python: str,
) -> Context:
    return Context(
        name=name,
        folder=folder,
        inputs=inputs,
        seed=recipe.seed if config.seed is None else config.seed,
        plugins=recipe.plugins,
        min_pixels=recipe.image.min_pixels,
        max_pixels=recipe.image.max_pixels,
        cpu=device.resolve_device(recipe.device) == "cpu",
        recipe_folder=recipe.folder,
        python=python,
        input_folders=input_folders,
    )


def _status(
    folder: Path,
    selected: bool,
    damage: artefacts.Damage | None,
    before: state.StageRecord | None,
    config: StageConfig,
    code: Mapping[str, str],
    inputs: list[PlannedStage],
) -> tuple[Status, str]:
    if not selected:
        return ("reuse", "done") if damage is None and folders.is_stage_done(folder) else ("not selected", "")
    if damage is not None:
        return "run", f"its artefact {damage.artefact!r} is damaged"
    if folders.is_stage_done(folder):
        return "reuse", "done"
    if (folder / artefacts.DONE).is_file():
        return "resume", f"its {artefacts.DONE} cannot be read"
    if (folder / state.STAGE_RECORD).is_file():
        return "resume", "was interrupted"
    changed = [stage.name for stage in inputs if stage.status in ("run", "resume")]
    if before is None:
        return "run", "new"
    keys = list_changed_keys(before["settings"], select_hashed_settings(config))
    if keys:
        return "run", f"changed: {_few(keys)}"
    if changed:
        return "run", f"input changed: {', '.join(changed)}"
    modules = sorted(one for one, _ in {*before.get("code", {}).items()} ^ {*code.items()})
    if modules:
        return "run", f"code changed: {_few(list(dict.fromkeys(modules)))}"
    return "run", "plugins, seed, image size or files that it reads changed"


def _few(names: list[str]) -> str:
    return ", ".join(names[:6]) + (" …" if len(names) > 6 else "")


def list_changed_keys(before: Any, after: Any, place: str = "") -> list[str]:
    """Dotted keys whose values differ between two nested settings."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = list(dict.fromkeys([*before, *after]))
        return [
            key
            for k in keys
            for key in list_changed_keys(before.get(k), after.get(k), f"{place}.{k}" if place else str(k))
        ]
    return [] if before == after else [place]


def _previous_records(run: Path) -> dict[str, state.StageRecord]:
    """``stage.json`` of every stage of the recipe's latest run, for saying what changed."""
    manifest = state.recover_manifest(run.resolve())  # the link's own path says less
    stages = manifest["stages"] if manifest is not None else []
    found = {stage["name"]: state.recover_stage_record(Path(stage["folder"])) for stage in stages}
    return {name: record for name, record in found.items() if record is not None}
