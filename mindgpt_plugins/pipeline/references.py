"""References held against what they name: does that stage make such a thing, and is that folder a model?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mindgpt_plugins.core.registry import hint_nearest
from mindgpt_plugins.pipeline.plan import Plan, PlannedStage

_NEEDED = {"model": "model", "dataset": "datasets", "branches": "branches", "scores": "predictions"}
"""What a reference names → the artefact that an earlier stage must have for it."""
_MODEL_FILES = ("config.json", "adapter_config.json")
_READERS = {"llamafactory": "LLaMA-Factory (sharegpt)", "verl": "verl (parquet)", "rows": "our rows"}


def find_misdirected_references(plan: Plan, stage: PlannedStage) -> list[str]:
    """One line per reference to an earlier stage that makes no such thing, or to a folder that holds none."""
    by_name = {one.name: one for one in plan.stages}
    found = []
    for key, to, value in stage.config.located_references():
        head, _, name = value.rpartition("/") if to == "dataset" else (value, "", "")
        if head in stage.context.inputs:
            made = by_name[head]
            if (needed := _NEEDED.get(to)) is not None and needed not in stage.context.inputs[head]:
                has = ", ".join(stage.context.inputs[head]) or "nothing that can be named"
                what = {"dataset": "data set", "scores": "evaluation"}.get(to, to)
                found.append(f"{key}: {head!r} is a {made.config.kind} stage, which makes no {what} but {has}")
            elif to == "dataset":
                found += [f"{key}: {line}" for line in _find_missing_set(stage, made, value, name)]
        elif to == "model" and not _may_be_model(Path(stage.context.model(value))):
            found.append(
                f"{key}: {value!r} holds no {' or '.join(_MODEL_FILES)}; give the folder of a Hugging Face model"
            )
    return found


def _may_be_model(path: Path) -> bool:
    return not path.is_dir() or any((path / one).is_file() for one in _MODEL_FILES)


def _find_missing_set(stage: PlannedStage, made: PlannedStage, value: str, name: str) -> Iterator[str]:
    sets = made.stage.made_sets(made.config, made.context)
    if sets is None:
        return
    if name not in sets:
        yield (
            f"stage {made.name!r} will make no set {name!r}{hint_nearest(name, sets) or '.'} "
            f"It makes: {', '.join(sets) or 'none'}."
        )
        return
    for read in stage.stage.set_reads(stage.config):
        if read.dataset == value and read.reader not in sets[name]:
            formats = ", ".join(_READERS[one] for one in sorted(sets[name]))
            yield f"{value!r} is read as {_READERS[read.reader]}, but stage {made.name!r} writes it for {formats} only"


def find_root_models(plan: Plan, stage: PlannedStage) -> dict[str, Path]:
    """Key of each model reference → the local folder that its chain of stages begins with.

    Training keeps a model's family, tokenizer and chat template, so that a stage can be judged by them long before its
    own model is made. Chains that begin with a hub id, or with a stage that makes a model from nothing, are left out.
    """
    by_name = {one.name: one for one in plan.stages}
    found = {}
    for key, to, value in stage.config.located_references():
        at = value if to == "model" else ""
        while at in by_name:
            before = by_name[at]
            made = Path(before.stage.artefacts(before.config, before.context).get("model", ""))
            if (made / "config.json").is_file():
                at = str(made)
                break
            at = next((one for what, one in before.config.references() if what == "model"), "")
        if at and (Path(stage.context.model(at)) / "config.json").is_file():
            found[key] = Path(stage.context.model(at))
    return found
