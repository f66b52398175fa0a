"""One pass over a set: its faults by kind, its rows, those that the host will drop, and the longest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from mindgpt_plugins.core.dataset_files import SetRow, read_set_info, read_set_rows
from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.core.files import FileError
from mindgpt_plugins.families import FamilyError, PixelLimits, Thinking
from mindgpt_plugins.inspection.faults import FAULTS, STOPPING, Fault, FaultTally
from mindgpt_plugins.inspection.images import find_image_faults
from mindgpt_plugins.inspection.labels import find_answer_faults, find_difficulty_faults
from mindgpt_plugins.inspection.longest import RowMeter, UncountedRow, has_tokenizer
from mindgpt_plugins.inspection.own_rows import find_row_faults, make_own_sample, read_own_rows
from mindgpt_plugins.inspection.picture_files import PictureFiles
from mindgpt_plugins.inspection.readers import Reader, locate_set_file
from mindgpt_plugins.inspection.turns import find_column_faults, find_media_faults, find_turn_faults
from mindgpt_plugins.inspection.verl_rows import find_prompt_faults, make_verl_sample, read_verl_rows
from mindgpt_plugins.sizing.samples import Sample, make_sample

NO_NAMES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Measure:
    """How rows are counted in tokens.

    Attributes:
        model: folder of the model whose tokenizer counts.
        limits: the recipe's limits of a picture.
        with_response: whether the supervised reply counts (training), or only the prompt (rollouts).
        thinking: how the chat template is switched.
    """

    model: str
    limits: PixelLimits
    with_response: bool
    thinking: Thinking = "model"


@dataclass
class SetInspection:
    """What one pass found.

    Attributes:
        rows: of the set.
        dropped: rows that the host leaves out.
        tally: faults by kind.
        tokens: of the longest sound row, pictures included; None when the model's tokenizer is not at hand.
        place: where that row is.
    """

    rows: int = 0
    dropped: int = 0
    tally: FaultTally = field(default_factory=FaultTally)
    tokens: int | None = None
    place: str = ""

    def dump(self) -> dict[str, Any]:
        """Plain JSON data."""
        faults = [one.dump() for one in self.tally.counts.values()]
        return {
            "rows": self.rows,
            "dropped": self.dropped,
            "longest": self.tokens,
            "longest_row": self.place,
            "faults": faults,
        }


def inspect_set(
    folder: Path,
    name: str,
    reader: Reader = "llamafactory",
    *,
    measure: Measure | None = None,
    media_dir: Path | None = None,
    difficulty: str | None = None,
    pictures_too: bool = True,
    columns: Mapping[str, str] = NO_NAMES,
) -> SetInspection:
    """Read a set as its trainer will, and say what is wrong with which row.

    Args:
        folder: of the set.
        name: of the set.
        reader: who will read it.
        measure: how to count tokens; None not to.
        media_dir: where pictures are looked for first, when it is not the folder.
        difficulty: the column that the curriculum orders by, when it does.
        columns: verl's word for a column (``prompt``, ``images``, …) → what the rows call it, where that is another.
        pictures_too: whether to open the pictures; not where one of our own steps has just saved them.

    Raises:
        StageError: the set is not listed, or its file is missing or not valid.
    """
    found = SetInspection()
    meter = None
    if measure is not None and has_tokenizer(measure.model):
        meter = RowMeter(measure.model, measure.limits, with_response=measure.with_response, thinking=measure.thinking)
    try:
        with PictureFiles() as pictures:
            for row, faults, sample in _read(folder, name, reader, media_dir, columns, found):
                found.rows += 1
                faults += find_difficulty_faults(
                    row.place, row.data.get(difficulty or "difficulty"), needed=difficulty is not None
                )
                if any(FAULTS[fault.kind].effect == "dropped" for fault in faults):
                    found.dropped += 1
                if sample is not None:
                    if meter is not None:
                        faults += meter.find_model_faults(sample)
                    faults += _look(sample, pictures) if pictures_too else []
                    if meter is not None and not any(_unreadable(fault) for fault in faults):
                        faults += _count(meter, sample, pictures_too)
                found.tally.add(faults)
            found.tally.add(pictures.find_faults())
    except FileError as error:
        raise StageError(str(error)) from None
    if meter is not None:
        meter.finish()
        found.tokens, found.place = meter.tokens, meter.place
    return found


def _read(
    folder: Path, name: str, reader: Reader, media_dir: Path | None, columns: Mapping[str, str], found: SetInspection
) -> Iterator[tuple[SetRow, list[Fault], Sample | None]]:
    """Rows with their faults, and as samples where they are sound enough."""
    if reader == "verl":
        for row in read_verl_rows(_find(folder, name, reader, "verl reads"), columns):
            faults = list(find_prompt_faults(row))
            sound = not _broken(faults) and all(isinstance(turn["content"], str) for turn in row.data["prompt"])
            yield row, faults, make_verl_sample(row) if sound else None
        return
    if reader == "rows":
        for row in read_own_rows(_find(folder, name, reader, "this stage reads")):
            faults = list(find_row_faults(row))
            yield row, faults, None if _broken(faults) else make_own_sample(folder, row)
        return
    info = read_set_info(folder, name)
    seen: dict[str, None] = {}
    for row in read_set_rows(folder, name):
        seen |= dict.fromkeys(row.data)
        faults = [*find_turn_faults(info, row), *find_media_faults(media_dir or folder, info, row)]
        data = row.data
        if data.get("answer_type") is not None and "answer" in data:
            faults += find_answer_faults(
                row.place, data["answer"], data["answer_type"], question=str(data.get("question", "")),
                boxes=data.get("boxes"),
            )  # fmt: skip
        yield row, faults, None if _broken(faults) else make_sample(media_dir or folder, info, row)
    found.tally.add(find_column_faults(info, seen))


def _find(folder: Path, name: str, reader: Literal["verl", "rows"], who: str) -> Path:
    file = locate_set_file(folder, name, reader)
    if not file.is_file():
        raise StageError(f"set {name!r}: {who} {file}, which does not exist")
    return file


def _broken(faults: list[Fault]) -> bool:
    """Is there a fault after which the row's turns cannot be read, or the host would not?"""
    return any(FAULTS[fault.kind].effect in STOPPING and fault.kind not in ("gold", "answer_type") for fault in faults)


def _unreadable(fault: Fault) -> bool:
    return fault.kind in ("no_image", "bad_image", "special_token", "no_vision", "no_chat_template")


def _look(sample: Sample, pictures: PictureFiles) -> list[Fault]:
    """Pictures in the row are looked at now, files once all rows are known: rows share them."""
    found: list[Fault] = []
    for position, picture in enumerate(sample.images):
        if isinstance(picture, Path):
            pictures.add(picture, sample.place)
        else:
            for fault in find_image_faults(picture, sample.place, full=True):
                found.append(Fault(fault.kind, fault.place, f"picture {position}: {fault.detail}"))
    return found


def _count(meter: RowMeter, sample: Sample, looked: bool) -> list[Fault]:
    """Measure a row; says why where that cannot be done."""
    try:
        meter.add(sample)
    except UncountedRow as error:
        return [Fault("not_counted", sample.place, str(error))]
    except FamilyError as error:
        return [Fault("bad_image", sample.place, str(error))]
    except (OSError, ValueError, SyntaxError) as error:
        # Where pictures are looked at, this one is told with all others.
        return [] if looked else [Fault("bad_image", sample.place, str(error))]
    return []
