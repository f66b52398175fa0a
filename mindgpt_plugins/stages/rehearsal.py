"""What a stage kind says about its rehearsal: how its settings shrink, how far it is, and what it must leave behind.

A kind that says nothing is rehearsed with the recipe's own settings, and the rehearsal says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from mindgpt_plugins.core.metrics import read_metrics
from mindgpt_plugins.core.schema import StageConfig
from mindgpt_plugins.stages.context import Context

ConfigT_contra = TypeVar("ConfigT_contra", bound=StageConfig, contravariant=True)
Kind = Literal["smaller", "gpu only", "stand-in", "as it is"]
"""smaller: the same thing with less of it. gpu only: not proven, because CPU cannot. stand-in: not proven, because
something else takes its place here. as it is: the kind does not say how it is made smaller."""
State = Literal["proven", "failed", "noted", "not on CPU"]
"""noted: nobody could prove it here, and it is no fault; the text says why."""
_ABSENT = object()


@dataclass(frozen=True)
class Finding:
    """What a rehearsal says about a stage: one line per thing that was looked at.

    Attributes:
        stage: its stage; empty for the whole recipe.
        topic: in a word or two: ``resume``, ``weights``, ``rewards``, …
        state: see :data:`State`.
        text: what was seen, with its numbers; of a failure also what to do.
    """

    stage: str
    topic: str
    state: State
    text: str


@dataclass(frozen=True)
class RecipeDifference:
    """One difference between a recipe and its rehearsal.

    Attributes:
        stage: its stage; empty for what concerns all of them.
        key: dotted recipe key.
        before: value in the recipe.
        after: value in the rehearsal; None: taken out.
        kind: see :data:`Kind`.
        means: what is not proven because of it; empty for what is only smaller.
    """

    stage: str
    key: str
    before: Any
    after: Any
    kind: Kind
    means: str = ""


class Draft:
    """A stage's plain settings and the changes made to them.

    Args:
        name: of the stage; empty for the recipe's head.
        settings: as ``model_dump(mode="json")`` gives them; changed in place.
    """

    def __init__(self, name: str, settings: dict[str, Any]):
        self.name, self.settings = name, settings
        self.changes: list[RecipeDifference] = []
        self.plugins: list[str] = []
        """Modules with what only the rehearsal has, which its recipe lists as plugins."""

    def get(self, key: str, default: Any = None) -> Any:
        """Value at a dotted key."""
        found: Any = self.settings
        for part in key.split("."):
            if not isinstance(found, dict) or part not in found:
                return default
            found = found[part]
        return found

    def set(self, key: str, value: Any, kind: Kind = "smaller", means: str = "") -> None:
        """Set a dotted key; a value that is there already is no change."""
        before = self.get(key, _ABSENT)
        if before == value:
            return
        *parents, last = key.split(".")
        place = self.settings
        for part in parents:
            place = place.setdefault(part, {})
        place[last] = value
        self.changes.append(RecipeDifference(self.name, key, None if before is _ABSENT else before, value, kind, means))

    def most(self, key: str, value: int) -> None:
        """Bound a number from above; what is not set stays so."""
        before = self.get(key)
        if before is not None and before > value:
            self.set(key, value)

    def drop(self, key: str, kind: Kind, means: str) -> None:
        """Take a dotted key out if it is there."""
        parent, _, last = key.rpartition(".")
        place = self.get(parent) if parent else self.settings
        if isinstance(place, dict) and last in place:
            self.changes.append(RecipeDifference(self.name, key, place.pop(last), None, kind, means))


@dataclass(frozen=True)
class Room:
    """What a rehearsal offers a stage.

    Attributes:
        rows: dataset reference → rows that the set has in the rehearsal.
        server: base URL that takes the place of every model server; None: they are asked themselves.
        left_out: stages that are not rehearsed.
    """

    rows: Callable[[str], int]
    server: str | None = None
    left_out: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Learning:
    """What a stage that trains must show.

    Attributes:
        loss: metric of every optimizer step.
        grad_norm: metric that is 0 where nothing was learned from.
        start: reference of the model it trains.
        lr: learning rate; no weight moves by more than a few times this per step.
        frozen: parts of the model that must not change: ``vision``, ``projector``, ``language``.
        patches: patch → auto, on or off, as its process applies them.
    """

    loss: str
    grad_norm: str
    start: str
    lr: float
    frozen: frozenset[str]
    patches: Mapping[str, str]


@dataclass(frozen=True)
class SetCheck:
    """A check of a set that needs a process of its own; equal ones are made once.

    Attributes:
        topic: of its finding.
        module: whose ``main(arguments)`` prints what it found and returns 0 when all is well.
        arguments: for it.
    """

    topic: str
    module: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class NamedSet:
    """A set that is on disk: its reference in the recipe, the folder with its ``dataset_info.json``, and its name."""

    reference: str
    folder: Path
    name: str


class RehearsalRules(Generic[ConfigT_contra]):
    """How a stage kind is rehearsed, in its ``rehearse.py``. Stateless."""

    tool: str | None = None
    """Module that does the work, often in an interpreter of its own; where it is not, the stage is left out."""

    def shrink(self, draft: Draft, room: Room) -> None:
        """Change a stage's settings so that little work proves it."""
        kind = draft.get("kind")
        draft.changes.append(RecipeDifference(draft.name, "kind", kind, kind, "as it is", _UNSHRUNK.format(kind=kind)))

    def why_left_out(self, config: ConfigT_contra) -> str | None:
        """Why a stage cannot be rehearsed although its tool is here, or None."""
        return None

    def compared_with(self, config: ConfigT_contra) -> frozenset[str]:
        """Stages that this one only compares itself with: it is rehearsed without them, too."""
        return frozenset()

    def asks_server(self, config: ConfigT_contra) -> bool:
        """Does the stage ask a model server?"""
        return False

    def list_pictures(self, config: ConfigT_contra) -> list[str]:
        """Paths in the settings that are folders or manifests of pictures, of which a few are enough."""
        return []

    def find_column_problems(self, config: ConfigT_contra, context: Context, sets: list[NamedSet]) -> list[str]:
        """What rows of the sets lack that the stage meets only while it runs; every row is looked at.

        Args:
            config: of the stage.
            context: of the stage.
            sets: those of its sets that no stage makes.
        """
        return []

    def check_set(self, config: ConfigT_contra, context: Context, chosen: NamedSet) -> SetCheck | None:
        """The check in a process of its own that one of the stage's sets needs, or None."""
        return None

    def try_set(self, config: ConfigT_contra, stage: str, chosen: NamedSet) -> list[Finding]:
        """What can be tried on a set in this process, before the stage runs or after the set was made."""
        return []

    def measure_progress(self, config: ConfigT_contra, folder: Path) -> int:
        """Units of progress that a kill cannot take any more: steps, answered prompts or steps of a pipeline.

        Args:
            config: of the stage.
            folder: its folder, which may not exist yet.
        """
        try:
            return int(read_metrics(folder / "metrics.jsonl")[-1]["step"])
        except (IndexError, KeyError, ValueError):
            return 0

    def list_saved(self, config: ConfigT_contra, folder: Path, step: int) -> Iterable[Path]:
        """Files that must survive a kill after ``step``: a resumed run adds lines to ``.jsonl``, and rewrites none."""
        return []

    def learning(self, config: ConfigT_contra) -> Learning | None:
        """What training must show; None for a stage that trains nothing."""
        return None

    def judge_run(self, config: ConfigT_contra, stage: str, folder: Path) -> list[Finding]:
        """What else the finished stage's folder shows."""
        return []


_UNSHRUNK = "kind {kind} does not say how it is made smaller: it runs with the recipe's own settings"


STUB = "what the model servers answer: a server on this machine that follows the asked-for form answers in their place"


def move_endpoint(endpoint: dict[str, Any], server: str) -> dict[str, Any]:
    """An endpoint's settings with another address and without a key."""
    return {**endpoint, "base_url": server, "api_key_env": None}


def find_row_problems(sets: list[NamedSet]) -> list[str]:
    """What is wrong with the rows of sets that are read through their ``<set>.jsonl``."""
    from mindgpt_data.export import read_set
    from mindgpt_data.schema.rows import RowError

    problems = []
    for one in sets:
        try:
            read_set(one.folder, one.name)
        except RowError as error:
            problems.append(f"dataset {one.reference!r}: {error}")
    return problems
