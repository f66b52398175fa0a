"""What a run would do, decided before it does anything: which stages are reused, resumed or run, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from mindgpt_plugins.core import artefacts, device, folders, interpreter, state
from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.core.registry import get_registered
from mindgpt_plugins.core.schema import StageConfig
from mindgpt_plugins.core.stamps import Stamp, StampMemory
from mindgpt_plugins.guards.divergence import read_divergence, summarise_divergence
from mindgpt_plugins.pipeline import extension, reads
from mindgpt_plugins.recipe.hashing import collect_identity, hash_identity
from mindgpt_plugins.recipe.schema import Launch, Recipe
from mindgpt_plugins.stages.base import Context, Stage

Status = Literal["reuse", "resume", "run", "not selected"]
MEMORY = ".stamps"
"""In the runs folder: what is known of the files that stages read, see :mod:`mindgpt_plugins.core.stamps`."""


@dataclass(frozen=True)
class PlannedStage:
    """One stage of a plan."""

    name: str
    config: StageConfig
    stage: Stage[Any]
    digest: str
    folder: Path
    identity: Mapping[str, Any]
    """What made the digest, see :func:`~mindgpt_plugins.recipe.hashing.collect_identity`."""
    stamps: Mapping[str, Stamp] = field(compare=False, repr=False)
    """Reference to the outside → the files that are read under it."""
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
    memory: StampMemory
    """Of the files that were read to plan; the runner saves it, so that the next plan need not read them."""


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
    memory = StampMemory(runs / MEMORY)
    while True:
        plan = _make(recipe, runs, until, start, fresh, verify, ran, memory)
        gate = next(
            (stage.name for stage in plan.stages if extension.is_extension_owed(recipe, stage.name, stage.folder)), None
        )
        if gate is None:
            break
        recipe = extension.extend_recipe(recipe, gate)
    if runs.is_dir():
        memory.save()
    return plan


def _make(
    recipe: Recipe,
    runs: Path,
    until: str | None,
    start: str | None,
    fresh: bool,
    verify: bool,
    ran: frozenset[str],
    memory: StampMemory,
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
        launch = recipe.launch_of(stage.side)
        python = interpreter.resolve_interpreter(
            config.python or launch.python, recipe.folder, "launch.*.python or a stage's python"
        )
        made = {stage.name: stage.folder for stage in planned if stage.name in inputs}
        of_inputs = {i: promised[i] for i in inputs}
        context = partial(_context, recipe, name, config, inputs=of_inputs, input_folders=made, python=python)
        # What is read from outside does not depend on the stage's own folder, which is named by the hash.
        outside = reads.find_outside_reads(stage, config, context(folder=runs))
        stamps = {value: memory.stamp(read) for value, read in outside}
        before = {i: identity[i] for i in inputs}
        found = collect_identity(
            recipe, name, type(stage).code(), before, {value: stamp.digest for value, stamp in stamps.items()}
        )
        digest = hash_identity(found)
        selected = first <= position <= last
        attempt = max(1, folders.find_latest_attempt(runs, name, digest))
        folder = folders.locate_stage_folder(runs, name, digest, attempt).resolve()
        damage = artefacts.verify_artefacts(folder) if verify and name not in ran else artefacts.find_damage(folder)
        if selected and folder.is_dir() and (damage is not None or (fresh and name not in ran)):
            # What is left of a damaged attempt must not be gone on from: who knows what else of it is damaged?
            attempt += 1
            folder = folders.locate_stage_folder(runs, name, digest, attempt).resolve()
        identity[name] = f"{digest}.{attempt}"
        own = context(folder=folder)
        promised[name] = stage.artefacts(config, own)
        status, reason = _status(folder, selected, damage, previous.get(name), found, stamps)
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
                found,
                stamps,
                status,
                reason,
                own,
                launch,
                python,
                damage,
            )
        )
    run_identity = folders.digest_run(identity)
    remake = partial(_remake, recipe, runs, until, start, fresh)
    return Plan(recipe, (runs / f"{recipe.name}-{run_identity}").resolve(), tuple(planned), remake, memory)


def _remake(recipe: Recipe, runs: Path, until: str | None, start: str | None, fresh: bool, ran: frozenset[str]) -> Plan:
    return make_run_plan(recipe, runs, until=until, start=start, fresh=fresh, ran=ran)


def _context(
    recipe: Recipe,
    name: str,
    config: StageConfig,
    *,
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
        thinking=recipe.thinking,
        cpu=device.resolve_device(recipe.device) == "cpu",
        recipe_folder=recipe.folder,
        python=python,
        input_folders=input_folders,
    )


def _status(
    folder: Path,
    selected: bool,
    damage: artefacts.Damage | None,
    before: tuple[Path, state.StageRecord] | None,
    identity: Mapping[str, Any],
    stamps: Mapping[str, Stamp],
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
        stopped = read_divergence(folder)
        return "resume", "was interrupted" if stopped is None else f"was stopped: {summarise_divergence(stopped)}"
    if before is None:
        return "run", "new"
    return "run", "; ".join(_differences(*before, identity, stamps)) or "--fresh"


def _differences(
    folder: Path, record: Mapping[str, Any], identity: Mapping[str, Any], stamps: Mapping[str, Stamp]
) -> Iterator[str]:
    """What is not as it was when the stage last ran, one text for each part of its identity."""
    names = {
        "settings": "changed",
        "stages": "input changed",
        "code": "code changed",
        "plugins": "plugins changed",
        "image": "image changed",
    }
    if not record.keys() >= identity.keys():
        yield "another release of mindgpt-plugins made the last run"
        return
    for part, said in names.items():
        if keys := list_changed_keys(record[part], identity[part]):
            yield f"{said}: {_few(keys)}"
    for part in ("seed", "device", "thinking"):
        if record[part] != identity[part]:
            yield f"{part} changed: {record[part]} → {identity[part]}"
    if keys := list_changed_keys(record["reads"], identity["reads"]):
        yield f"changed on disk: {reads.describe_changed_files(folder, keys, stamps)}"


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


def _previous_records(run: Path) -> dict[str, tuple[Path, state.StageRecord]]:
    """Folder and ``stage.json`` of every stage of the recipe's latest run, for saying what changed."""
    manifest = state.recover_manifest(run.resolve())  # the link's own path says less
    stages = manifest["stages"] if manifest is not None else []
    found = {stage["name"]: Path(stage["folder"]) for stage in stages}
    records = {name: (folder, state.recover_stage_record(folder)) for name, folder in found.items()}
    return {name: (folder, record) for name, (folder, record) in records.items() if record is not None}
