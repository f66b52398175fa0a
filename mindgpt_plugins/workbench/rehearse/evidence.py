"""What a finished stage left behind, read and judged: resume, metrics, weights, patches and hand-over."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mindgpt_patches import catalog

from mindgpt_plugins.core.files import read_json, read_jsonl
from mindgpt_plugins.core.metrics import read_metrics
from mindgpt_plugins.pipeline.plan import PlannedStage
from mindgpt_plugins.stages.rehearsal import Finding, Learning
from mindgpt_plugins.workbench.rehearse.drive import Kill
from mindgpt_plugins.workbench.rehearse.saved import find_changed_files
from mindgpt_plugins.workbench.rehearse.weights import PARTS, compare_weights


def judge_stage(stage: PlannedStage, kill: Kill | None) -> list[Finding]:
    """Everything about one finished stage.

    Args:
        stage: as planned.
        kill: what was on disk when it was killed; None when it was too quick.
    """
    rules = stage.stage.rehearsal_rules()
    learning = rules.learning(stage.config)
    found = list(judge_resume(stage, kill, learning))
    if learning is not None:
        found += [*_metrics(stage, learning), *_weights(stage, learning)]
        found += _patches(stage) if learning.patches else []
    return [*found, *rules.judge_run(stage.config, stage.name, stage.folder)]


def judge_resume(stage: PlannedStage, kill: Kill | None, learning: Learning | None) -> Iterator[Finding]:
    """Did the stage go on from what it had saved, and change none of it?"""
    if kill is None:
        yield Finding(
            stage.name, "resume", "noted", "too quick: it ended before any progress was saved, so it was not killed"
        )
        return
    done = _progress(stage)
    # Evaluations while training write lines of their own.
    steps = [line["step"] for line in _lines(stage) if learning is not None and learning.loss in line]
    if lost := find_changed_files(stage.folder, kill.files):
        text = f"killed after {kill.step}; the resumed run changed what was saved: {', '.join(lost[:3])}"
        yield Finding(stage.name, "resume", "failed", text)
    elif learning is not None and sorted(set(steps)) != list(range(1, done + 1)):
        yield Finding(stage.name, "resume", "failed", f"steps in metrics.jsonl are {steps}, not 1 to {done}")
    elif learning is not None and len(steps) != len(set(steps)):
        yield Finding(stage.name, "resume", "failed", f"steps were trained twice: {steps}")
    else:
        what = "step" if learning is not None else "unit of progress"
        kept = f", {len(kill.files)} saved files untouched" if kill.files else ""
        text = f"kill -9 after {what} {kill.step}; went on to {done}{kept}"
        if kill.left:
            text += f"; {kill.left} processes outlived the kill and were ended"
        yield Finding(stage.name, "resume", "proven", text)


def _progress(stage: PlannedStage) -> int:
    return stage.stage.rehearsal_rules().measure_progress(stage.config, stage.folder)


def _metrics(stage: PlannedStage, learning: Learning) -> Iterator[Finding]:
    lines = _lines(stage)
    bad = [
        f"{key} at step {line['step']}"
        for line in lines
        for key, value in line.items()
        # Other figures may be undefined: the mean of a reward that no sample of the step has.
        if key.removeprefix("actor/").startswith(("loss", "grad")) and not math.isfinite(value)
    ]
    key = learning.grad_norm
    norms = [line[key] for line in lines if isinstance(line.get(key), (int, float))]
    if bad:
        yield Finding(stage.name, "metrics", "failed", f"not finite: {', '.join(bad[:5])}")
    elif not lines:
        yield Finding(stage.name, "metrics", "failed", f"{stage.folder / 'metrics.jsonl'} is empty")
    elif not norms or not any(norms):
        yield Finding(stage.name, "metrics", "failed", f"{key} is 0 in every step: nothing was learned from")
    else:
        loss = [line[learning.loss] for line in lines if learning.loss in line]
        shown = ", ".join(f"{value:.3g}" for value in loss)
        yield Finding(stage.name, "metrics", "proven", f"loss {shown}; {key} {', '.join(f'{n:.3g}' for n in norms)}")


def _weights(stage: PlannedStage, learning: Learning) -> Iterator[Finding]:
    start = Path(stage.context.model(learning.start))
    end = Path(stage.stage.artefacts(stage.config, stage.context)["model"])
    found = compare_weights(start, end, step=learning.lr * max(1, _progress(stage)))
    if found.missing or found.new:
        text = f"the model it left has other tensors: without {found.missing[:3]}, with {found.new[:3]}"
        yield Finding(stage.name, "weights", "failed", text)
    parts = {name: found.parts[name] for name in PARTS if name in found.parts}
    for name, part in parts.items():
        if part.broken:
            text = f"{len(part.broken)} tensors hold NaN or infinity, e.g. {part.broken[0]}"
            yield Finding(stage.name, "weights", "failed", text)
        if part.strangers:
            text = (
                f"{len(part.strangers)} {name} matrices are no small step away from {start}, e.g. {part.strangers[0]}: "
                "it was not started from there"
            )
            yield Finding(stage.name, "hand-over", "failed", text)
    if not any(part.strangers for part in parts.values()):
        text = f"started from {_short(start)}: largest change of a weight {max(p.largest for p in parts.values()):.2g}"
        yield Finding(stage.name, "hand-over", "proven", text)
    frozen = learning.frozen
    for name, part in parts.items():
        if name in frozen and part.changed:
            text = f"{name} is frozen in the recipe, but {part.changed} of its {part.tensors} tensors changed"
            yield Finding(stage.name, "weights", "failed", text)
        elif name not in frozen and name == "language" and not part.changed:
            yield Finding(stage.name, "weights", "failed", f"none of the {part.tensors} {name} tensors changed")
    told = ", ".join(
        f"{name} {'frozen' if name in frozen else f'{part.changed} of {part.tensors} changed'}"
        for name, part in parts.items()
    )
    yield Finding(stage.name, "weights", "proven", told)


def _patches(stage: PlannedStage) -> Iterator[Finding]:
    path = stage.folder / "patches.json"
    if not path.is_file():
        yield Finding(stage.name, "patches", "failed", f"{path} was not written: the host ran without us")
        return
    groups: dict[str, list[str]] = {}
    for one in read_json(path):
        groups.setdefault(one["state"], []).append(one["name"])
        if one["state"] == "refused" and not catalog.CATALOG[one["name"]].target:
            # The trainer's own, which auto leaves out where the stage needs something else: no fault of a host.
            yield Finding(stage.name, "patches", "noted", f"{one['name']} is left out here: {one['reason']}")
        elif one["state"] == "refused":
            text = f"{one['name']} no longer fits its host: {one['reason']}; set patches: {{{one['name']}: off}}"
            yield Finding(stage.name, "patches", "failed", text)
    told = "; ".join(f"{state}: {', '.join(names)}" for state, names in groups.items() if state != "refused")
    yield Finding(stage.name, "patches", "proven", told)


def _lines(stage: PlannedStage) -> list[dict[str, Any]]:
    return read_metrics(stage.folder / "metrics.jsonl")


def _short(folder: Path) -> str:
    """The stage folder a path is in, or its last part."""
    return next((p.name for p in (folder, *folder.parents) if p.parent.name == "stages"), folder.name)


def find_changed_models(stages: Mapping[str, PlannedStage], digests: Mapping[str, str]) -> list[Finding]:
    """Models that a later stage changed on disk: none may.

    Args:
        stages: by name.
        digests: stage → digest of its model when it was done.
    """
    return [
        Finding(name, "hand-over", "failed", "its model was changed on disk after it was done")
        for name, digest in digests.items()
        if digest != digest_model_files(stages[name])
    ]


def digest_model_files(stage: PlannedStage) -> str:
    """Digest over names, sizes and times of a stage's model files; empty without a model."""
    model = stage.stage.artefacts(stage.config, stage.context).get("model")
    found = [(p, p.stat()) for p in sorted(Path(model).rglob("*")) if p.is_file()] if model else []
    told = "".join(f"{path} {stat.st_size} {stat.st_mtime_ns}\n" for path, stat in found)
    return hashlib.sha256(told.encode()).hexdigest()[:16] if model else ""


_CAUSES = ("mindgpt: error:", "RewardError", "Error:", "Error executing", "error:", "Killed", "No space left")
"""What a line that says why looks like, most telling first."""

FIXES = {
    "_is_hf_initialized": "accelerate before 1.13 cannot build a rank without weights under transformers 5, and verl "
    "does so for every rank but the first of a model with untied embeddings (verl issue 4522): the patch "
    "verl_meta_init mends accelerate 1.11.0 unless it is off (patches.json says); else name an interpreter with "
    "accelerate 1.13 or later under launch.rl.python",
    "was killed by signal 9": "something ended it from outside: out of memory?",
    "No space left on device": "free some disk, or give another --runs folder",
}
"""What a cause contains → what to do about it."""


def find_failure_cause(message: str) -> str:
    """The line of a runner's message or of a stage's log that says why, what to do if known, and where the rest is."""
    found = _cause(message)
    fix = next((fix for sign, fix in FIXES.items() if sign in found or sign in message), None)
    return f"{found}; {fix}" if fix else found


def _cause(message: str) -> str:
    log = next((line.partition("Full log: ")[2].strip() for line in message.splitlines() if "Full log: " in line), "")
    said = message
    if log and Path(log).is_file():
        said = Path(log).read_text(encoding="utf-8", errors="replace")
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    for word in _CAUSES:
        found = [line for line in lines if word in line]
        if found:
            return f"{found[-1][-600:]}{f' (log: {log})' if log else ''}"
    return " ".join(lines[-3:])[-600:] or "no output"


def add_sample_source(stage: PlannedStage, message: str) -> str:
    """A message that names a sample, with that sample's source added where a set of the stage has it."""
    named = re.search(r"sample '([^']+)'", message)
    if named is None:
        return message
    for to, value in stage.config.references():
        if to == "dataset":
            folder, name = stage.context.dataset(value)
            path = folder / f"{name}.jsonl"
            for _, row in read_jsonl(path) if path.is_file() else []:
                if row.get("uid") == named[1]:
                    return f"source {row.get('source')!r}: {message}"
    return message
