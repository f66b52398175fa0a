"""All steps in order: each runs once per settings and inputs, and goes on where a killed run stopped."""

from __future__ import annotations

import hashlib
import importlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mindgpt_data import engines
from mindgpt_data.corpus import find_corpus_files
from mindgpt_data.export import remove_unused_pictures
from mindgpt_data.focus import weights
from mindgpt_data.io.progress import Progress, ignore_update
from mindgpt_data.io.work import Work
from mindgpt_data.schema.config import DataSettings
from mindgpt_plugins.core.builtins import list_shipped_modules
from mindgpt_plugins.core.files import remove_leftovers
from mindgpt_plugins.core.schema import dump_hashed
from mindgpt_plugins.core.sources import digest_source, find_code
from mindgpt_plugins.core.stamps import StampMemory


@dataclass(frozen=True)
class Step:
    """One verb.

    Attributes:
        name: the verb and the module in :mod:`mindgpt_data.steps`.
        settings: the sections that decide what it does.
        inputs: files of the work folder that it reads.
        uses: kinds of registered things that it looks up by name.
    """

    name: str
    settings: tuple[str, ...]
    inputs: tuple[str, ...]
    uses: tuple[str, ...] = ()


STEPS = (
    Step("images", ("images",), ()),
    Step("density", ("density", "endpoints"), ("images.jsonl",), ("estimator",)),
    Step("match", ("match", "tree", "endpoints", "focus"), ("images.jsonl",)),
    Step("budget", ("budget", "focus"), ("images.jsonl", "density.parquet"), ("allocator",)),
    Step(
        "generate",
        ("generate", "tree", "endpoints", "focus"),
        ("images.jsonl", "density.parquet", "matches.jsonl", "budget.parquet"),
        ("teacher",),
    ),
    Step(
        "filter",
        ("filter", "generate", "budget", "tree", "endpoints"),
        ("candidates.jsonl", "images.jsonl", "budget.parquet"),
        ("gate",),
    ),
    Step("export", ("export", "generate"), ("kept.jsonl", "images.jsonl", "pairs.jsonl")),
)


class Listener(Protocol):
    """Hears what the pipeline does, for whoever shows it."""

    def __call__(self, step: str, state: str, summary: dict[str, Any] | None) -> None:
        """``state``: ``reused``, ``running`` or ``done``."""


def run(
    work: Work,
    settings: DataSettings,
    *,
    seed: int = 0,
    progress: Progress = ignore_update,
    listen: Listener = lambda step, state, summary: None,
    start: str | None = None,
    until: str | None = None,
    plugins: Sequence[str] = (),
) -> dict[str, dict[str, Any]]:
    """Run every step that is not done with these settings and inputs.

    Args:
        work: where everything is written.
        settings: the whole pipeline.
        seed: the only source of chance.
        progress: gets the steps' updates.
        listen: told when a step is reused, starts and ends.
        start: run this step and those after it even when they are done.
        until: stop after this step.
        plugins: loaded modules or files; their source is part of every step's fingerprint.

    Returns:
        Step name → summary.

    Raises:
        ValueError: ``start`` or ``until`` is no step.
        FocusError: the focus cannot be used, or nothing is weak; before any step has run.
        RuntimeError: another process is at work in the folder.
    """
    weights.load_run_focus(settings)
    names = [step.name for step in STEPS]
    for option, value in (("--from", start), ("--until", until)):
        if value is not None and value not in names:
            raise ValueError(f"{option} {value}: there is no such step; the steps are: {', '.join(names)}")
    first = names.index(start) if start else len(names)
    last = names.index(until) if until else len(names) - 1
    with work.lock():
        for folder in (work.folder, work.datasets):
            remove_leftovers(folder)
        return _run_steps(work, settings, seed, progress, listen, plugins, first, last)


def _run_steps(
    work: Work,
    settings: DataSettings,
    seed: int,
    progress: Progress,
    listen: Listener,
    plugins: Sequence[str],
    first: int,
    last: int,
) -> dict[str, dict[str, Any]]:
    done: dict[str, dict[str, Any]] = {}
    for number, step in enumerate(STEPS[: last + 1]):
        wanted = fingerprint_step(step, work, settings, seed, plugins)
        before = work.read_summary(step.name)
        # A step that could not ask about everything asks again about what failed; the rest comes from its store.
        whole = before is not None and before.get("fingerprint") == wanted and not before.get("failed")
        if before is not None and whole and number < first and _written(step, work, before):
            listen(step.name, "reused", before)
            done[step.name] = before
            continue
        listen(step.name, "running", None)
        # The old mark goes first: a killed step must not look done with the previous run's numbers.
        work.summary(step.name).unlink(missing_ok=True)
        began = time.monotonic()
        with engines.use_engine(engines.get_engine_name(), plugins):
            summary = importlib.import_module(f"mindgpt_data.steps.{step.name}").run(
                work, settings, seed=seed, progress=progress
            )
        if step.name == "export" and before is None:  # the first one, or one after an export that was killed
            remove_unused_pictures(work.datasets)
        seconds = round(time.monotonic() - began, 3)
        done[step.name] = {"seconds": seconds, **summary, "fingerprint": wanted}
        work.write_summary(step.name, done[step.name])
        listen(step.name, "done", done[step.name])
    return done


def fingerprint_step(step: Step, work: Work, settings: DataSettings, seed: int, plugins: Sequence[str] = ()) -> str:
    """Hash over the step's settings, inputs and code; 16 hex digits."""
    content: dict[str, Any] = {
        "seed": seed,
        "settings": dump_hashed(settings, set(step.settings)),
        "inputs": {name: _digest(work.folder / name) for name in step.inputs},
        "code": find_code({f"mindgpt_data.steps.{step.name}", *list_shipped_modules(step.uses)}),
        "plugins": [digest_source(plugin) for plugin in plugins],
    }
    if step.name == "images":
        memory = StampMemory(work.folder / ".stamps")
        content["corpus"] = memory.stamp(find_corpus_files(Path(settings.images.path).expanduser())).digest
        memory.save()
    if step.name == "filter":
        against = [Path(source).expanduser() for source in settings.filter.against]
        content["against"] = [_digest(p if p.suffix else p.with_name(f"{p.name}.jsonl")) for p in against]
    if "focus" in step.settings and settings.focus is not None:
        # The file by its content, wherever it lies; what it weighs depends on the trees, and pictures on their topics.
        content["settings"]["focus"]["file"] = _digest(Path(settings.focus.file).expanduser())
        if step.name == "budget":
            content["inputs"]["matches.jsonl"] = _digest(work.matches)
            content["settings"] |= settings.model_dump(
                mode="json", include={"tree": True, "generate": {"capabilities"}}
            )
    if "tree" in content["settings"]:
        trees = (settings.tree.knowledge, settings.tree.capability)
        content["trees"] = [_digest(Path(tree)) for tree in trees if tree != "builtin"]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _written(step: Step, work: Work, summary: Mapping[str, Any]) -> bool:
    """Is what the step wrote still there?"""
    outputs = {
        "images": [work.images],
        "density": [work.density],
        "match": [work.matches],
        "budget": [work.budget],
        "generate": [work.candidates],
        "filter": [work.kept],
        "export": [work.datasets / f"{name}.jsonl" for name in summary.get("sets", ())],
    }
    return all(path.is_file() for path in outputs[step.name])


def _digest(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
