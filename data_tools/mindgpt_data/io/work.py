"""The work folder: which step reads and writes which plain file.

==================  ==============  =================================================================================
file                written by      content
==================  ==============  =================================================================================
images.jsonl        images          one :class:`~mindgpt_data.schema.record.ImageRecord` per line
density.parquet     density         ``image, subjects, spatial, text, knowledge, ids`` (0–5 each; ids 0–1)
matches.jsonl       match           ``{"image", "topics": [{"leaf", "fit", "evidence"}]}``: knowledge leaves, best first
budget.parquet      budget          ``image, items, subjects, spatial, text, knowledge``: QA per image and per family
candidates.jsonl    generate        :class:`~mindgpt_data.schema.rows.Row` per line; ``image`` holds image ids
kept.jsonl          filter          the same rows, those that passed, with agreement as difficulty where measured
pairs.jsonl         filter          ``{"uid", "chosen", "rejected"}``: a right and a wrong reply that a gate has seen
drops/<step>.jsonl  every step      ``{"step", "gate", "reason", "key", "detail"}``: nothing disappears without a line
steps/<step>.json   every step      summary: counts, seconds, cost, settings and fingerprint of its inputs
store.sqlite        LLM steps       every answer that was paid for
datasets/           export          what the trainers load (may lie elsewhere: several work folders can share one)
report.html         report          the page; ``report.json`` its numbers
==================  ==============  =================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindgpt_data.schema.record import ImageRecord
from mindgpt_data.schema.rows import SUB_SCORES, Row
from mindgpt_plugins.core import files
from mindgpt_plugins.core.files import read_json
from mindgpt_plugins.core.process import Lock
from mindgpt_plugins.core.state import recover_state

DENSITY_COLUMNS = {"image": "string", **dict.fromkeys(SUB_SCORES, "double"), "ids": "double"}
BUDGET_COLUMNS = {"image": "string", "items": "int64", **dict.fromkeys(SUB_SCORES, "int64")}


@dataclass(frozen=True)
class Drop:
    """One thing that a step left out.

    Attributes:
        step: the verb.
        gate: who refused it, e.g. ``rules``, ``open``.
        reason: short and the same for the same cause: reports count by it.
        key: image id or row uid.
        detail: what exactly, e.g. the question and the answer.
    """

    step: str
    gate: str
    reason: str
    key: str
    detail: str = ""


@dataclass(frozen=True)
class Work:
    """Paths of a work folder and typed access to the files in it.

    Attributes:
        folder: the work folder.
        shared: a datasets folder for the sets of several work folders; default: its own.
    """

    folder: Path
    shared: Path | None = None

    @property
    def images(self) -> Path:
        """``images.jsonl``."""
        return self.folder / "images.jsonl"

    @property
    def density(self) -> Path:
        """``density.parquet``."""
        return self.folder / "density.parquet"

    @property
    def matches(self) -> Path:
        """``matches.jsonl``."""
        return self.folder / "matches.jsonl"

    @property
    def budget(self) -> Path:
        """``budget.parquet``."""
        return self.folder / "budget.parquet"

    @property
    def candidates(self) -> Path:
        """``candidates.jsonl``."""
        return self.folder / "candidates.jsonl"

    @property
    def kept(self) -> Path:
        """``kept.jsonl``."""
        return self.folder / "kept.jsonl"

    @property
    def pairs(self) -> Path:
        """``pairs.jsonl``; missing when no gate sampled answers."""
        return self.folder / "pairs.jsonl"

    @property
    def store(self) -> Path:
        """``store.sqlite``."""
        return self.folder / "store.sqlite"

    @property
    def datasets(self) -> Path:
        """``datasets/``, or the shared one."""
        return self.shared or self.folder / "datasets"

    def lock(self) -> Lock:
        """Take the folder, for whoever removes what others left in it; a ``with`` block.

        Raises:
            RuntimeError: another process has it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        return Lock(self.folder)

    def drops(self, step: str) -> Path:
        """``drops/<step>.jsonl``."""
        return self.folder / "drops" / f"{step}.jsonl"

    def summary(self, step: str) -> Path:
        """``steps/<step>.json``."""
        return self.folder / "steps" / f"{step}.json"

    def read_images(self) -> list[ImageRecord]:
        """All records, in order.

        Raises:
            FileError: missing or malformed, or an image id occurs twice.
        """
        records: dict[str, ImageRecord] = {}
        for place, data in files.read_jsonl(self.images, "images"):
            record = ImageRecord.from_json(data, place)
            if record.image in records:
                raise files.FileError(f"{place}: image id {record.image!r} occurs twice; ids are unique in a corpus")
            records[record.image] = record
        return list(records.values())

    def read_density(self) -> dict[str, dict[str, float]]:
        """Image id → the four sub-scores and ``ids``.

        Raises:
            FileError: missing, a column is not there, or a score is out of range.
        """
        found = {}
        for row in files.read_table(self.density, DENSITY_COLUMNS, "density"):
            name = row["image"]
            scores = {column: row[column] for column in (*SUB_SCORES, "ids")}
            for column, value in scores.items():
                if value is None or not 0 <= value <= (1 if column == "ids" else 5):
                    raise files.FileError(f"{self.density}: image {name!r} has {column} = {value}, out of range")
            found[name] = scores
        return found

    def read_matches(self) -> dict[str, list[dict[str, Any]]]:
        """Image id → topics, best first."""
        return {data["image"]: data["topics"] for _, data in files.read_jsonl(self.matches, "match")}

    def read_budget(self) -> dict[str, dict[str, int]]:
        """Image id → ``items`` and the number for each family."""
        rows = files.read_table(self.budget, BUDGET_COLUMNS, "budget")
        return {row["image"]: {c: row[c] for c in ("items", *SUB_SCORES)} for row in rows}

    def read_rows(self, path: Path, made_by: str) -> Iterator[Row]:
        """Stream the rows of ``candidates`` or ``kept``."""
        for place, data in files.read_jsonl(path, made_by):
            yield Row.from_json(data, place)

    def write_drops(self, step: str, drops: Iterable[Drop]) -> int:
        """Replace the step's drop list; returns how many."""
        return files.write_jsonl(self.drops(step), (vars(drop) for drop in drops))

    def read_drops(self, step: str) -> list[Drop]:
        """The step's drops; empty when it has not run."""
        path = self.drops(step)
        return [Drop(**data) for _, data in files.read_jsonl(path)] if path.is_file() else []

    def write_summary(self, step: str, summary: Mapping[str, Any]) -> None:
        """Write ``steps/<step>.json``; it is the mark that the step is done, so it comes last."""
        files.write_json(self.summary(step), {"step": step, **summary})

    def read_summary(self, step: str) -> dict[str, Any] | None:
        """The step's summary, or None when it has not finished; one that is damaged is named and counts as none."""

        def read() -> dict[str, Any]:
            path = self.summary(step)
            found = read_json(path)
            if not isinstance(found, dict):
                raise files.FileError(f"{path} is no summary of a step")
            return found

        return recover_state(read, f"step {step} counts as not done")
