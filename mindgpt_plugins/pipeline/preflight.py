"""Looks at the data before a trainer does: rows it would refuse, drop or misread, and rows longer than their limit.

Trainers meet these faults in mid-epoch (a truncated prompt breaks "image features ≠ image tokens"), hours in, or never
tell them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mindgpt_plugins.core.dataset_files import INFO, DatasetError, read_set_info
from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.families import PixelLimits, load_family
from mindgpt_plugins.families.soundness import find_model_faults
from mindgpt_plugins.inspection.faults import FaultCount
from mindgpt_plugins.inspection.readers import Reader, locate_set_file
from mindgpt_plugins.inspection.sets import Measure, SetInspection, inspect_set
from mindgpt_plugins.pipeline.references import find_root_models
from mindgpt_plugins.stages.base import SetRead

if TYPE_CHECKING:
    from mindgpt_plugins.pipeline.plan import Plan, PlannedStage


@dataclass(frozen=True)
class InspectedSet:
    """A set of a stage that can be read already.

    Attributes:
        read: how the stage reads it.
        found: in it.
    """

    read: SetRead
    found: SetInspection

    def describe_problems(self) -> list[str]:
        """What stops a run, one line per kind of fault."""
        lines = [_describe(self.read, one) for one in self.found.tally.stopping(self.read.drop_invalid)]
        limit, tokens = self.read.limit, self.found.tokens
        if limit is not None and tokens is not None and tokens > limit:
            lines.append(describe_long_row(self.read, tokens, self.found.place))
        if self.found.rows and self.found.dropped == self.found.rows:
            lines.append(f"set {self.read.dataset!r}: LLaMA-Factory would leave out every row")
        return lines

    def describe_notes(self) -> list[str]:
        """What does not stop a run, one line per kind of fault."""
        stopping = self.found.tally.stopping(self.read.drop_invalid)
        return [_describe(self.read, one) for one in self.found.tally.counts.values() if one not in stopping]


def inspect_stage_sets(stage: PlannedStage) -> Iterator[InspectedSet]:
    """Sets of a planned stage; those of stages that have not run yet are left for later.

    Raises:
        StageError: a set is not listed, or its file is missing or not valid.
    """
    for read in stage.stage.set_reads(stage.config):
        folder, name = stage.context.dataset(read.dataset)
        made = read.dataset.rpartition("/")[0] in stage.context.inputs
        if not stage.context.made(read.dataset):
            continue
        if read.reader == "llamafactory" and not (folder / INFO).is_file():
            if made:
                continue
            raise StageError(f"dataset {read.dataset!r}: {folder} has no {INFO}")
        measure = None
        if read.limit is not None:
            limits = PixelLimits(stage.context.min_pixels, stage.context.max_pixels)
            measure = Measure(stage.context.model(read.model), limits, read.with_response, stage.context.thinking)
        media = None if read.media_dir is None else (stage.context.recipe_folder / read.media_dir).resolve()
        key = (read, _stamp(folder, name, read.reader))
        if key not in stage.inspected:
            stage.inspected[key] = inspect_set(
                folder, name, read.reader, measure=measure, media_dir=media, difficulty=read.difficulty,
                pictures_too=not made, columns=dict(read.columns),
            )  # fmt: skip
        yield InspectedSet(read, stage.inspected[key])


def check_data(stage: PlannedStage) -> list[str]:
    """Problems in the data of a planned stage."""
    problems: list[str] = []
    try:
        for one in inspect_stage_sets(stage):
            problems += one.describe_problems()
    except StageError as error:
        problems.append(str(error))
    return problems


def check_models(plan: Plan, stage: PlannedStage) -> list[str]:
    """What the models that a stage starts from cannot do of what the recipe asks; those whose files are here."""
    problems: list[str] = []
    for key, folder in find_root_models(plan, stage).items():
        problems += [f"{key}: {folder}: {fault}" for fault in find_model_faults(folder)]
        if problems:
            continue
        if stage.context.thinking != "model" and (folder / "tokenizer_config.json").is_file():
            family = load_family(folder, stage.context.thinking)
            if family.processor.chat_template is not None:
                problem = family.find_thinking_problem()
                problems += [f"{key}: {problem}"] if problem else []
        if key == "model":
            problems += stage.stage.check_model(stage.config, stage.context, folder)
    return problems


def describe_long_row(read: SetRead, tokens: int, place: str) -> str:
    """The message for a row over its limit."""
    what = "prompt and reply" if read.with_response else "prompt"
    return (
        f"dataset {read.dataset!r}: {place} has {tokens} tokens ({what}, vision tokens included) but "
        f"{read.key} is {read.limit}; raise it to at least {tokens}, lower image.max_pixels, or drop the row"
    )


def _describe(read: SetRead, one: FaultCount) -> str:
    rows = f"{one.count} rows" if one.count > 1 else "1 row"
    return f"set {read.dataset!r}: {rows}: {one.describe()}"


def _stamp(folder: Path, name: str, reader: Reader) -> tuple[tuple[str, int, int], ...]:
    """Size and time of the files that a set is in, so that one that changed meanwhile is read again."""
    if reader == "llamafactory":
        try:
            paths = [folder / INFO, *read_set_info(folder, name).files]
        except DatasetError as error:
            raise StageError(str(error)) from None
    else:
        paths = [locate_set_file(folder, name, reader)]
    found = [(str(path), path.stat()) for path in paths if path.is_file()]
    return tuple((path, stat.st_size, stat.st_mtime_ns) for path, stat in found)
