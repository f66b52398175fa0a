"""Reads what the ``evaluate`` stage writes about the label tree, and refuses what does not fit the tree of this run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError, model_validator

from mindgpt_plugins.core.files import read_json
from mindgpt_plugins.core.registry import hint_nearest
from mindgpt_plugins.core.schema import Strict

if TYPE_CHECKING:
    from mindgpt_data.tree.model import Tree

VERSION = 1
"""Of the branch file's layout."""
NAMED = 5
"""Branches that an error names."""
Share = Annotated[float, Field(ge=0, le=1)]


class FocusError(ValueError):
    """A focus that cannot be used; the message names the file, the place and the fix."""


class Branch(Strict):
    """One branch that was asked about; keys that a focus does not need are left alone.

    Attributes:
        axis: dimension of the label tree.
        path: the dotted label split at ".".
        n: answers.
        accuracy: share of right ones; None without answers.
        low: lower end of its interval.
        high: upper end.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    axis: Literal["knowledge", "capability"]
    path: tuple[str, ...] = Field(min_length=1)
    n: int = Field(ge=0)
    accuracy: Share | None
    low: Share
    high: Share

    @model_validator(mode="after")
    def _ordered(self) -> Branch:
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}")
        return self

    @property
    def label(self) -> str:
        """The dotted label."""
        return ".".join(self.path)


def read_branches(path: Path, only: str | None = None) -> list[Branch]:
    """The branches of a file, in its order.

    Args:
        path: ``branches.json``.
        only: the one evaluated set that counts; all of them by default.

    Raises:
        FocusError: missing, no JSON, another version, no such set, malformed, a branch twice, or nothing was answered.
    """
    try:
        data = read_json(path)
    except OSError as error:
        why = error.strerror or "cannot be read"
        raise FocusError(f"focus file {path}: {why}; give the branches.json of an `evaluate` stage") from None
    except ValueError as error:
        raise FocusError(f"focus file {error}") from None
    if not isinstance(data, dict) or "branches" not in data:
        raise FocusError(
            f"focus file {path} has no `branches`; give the branches.json of an `evaluate` stage (not its scores.json)"
        )
    if data.get("version") != VERSION:
        raise FocusError(
            f"focus file {path} has version {data.get('version')!r}, this reads version {VERSION}; evaluate again"
        )
    found = data["branches"] if only is None else _of_set(data, only, path)
    if not isinstance(found, list) or not found:
        raise FocusError(f"focus file {path} must list at least one branch, got {found!r:.60}")
    branches = [_branch(item, f"focus file {path}, branch {i}") for i, item in enumerate(found, 1)]
    seen: set[tuple[str, str]] = set()
    for branch in branches:
        if (branch.axis, branch.label) in seen:
            raise FocusError(f"focus file {path}: {branch.axis} branch {branch.label!r} occurs twice")
        seen.add((branch.axis, branch.label))
    if not any(branch.n for branch in branches):
        raise FocusError(f"focus file {path} holds no answers: no evaluated row has a knowledge or capability label")
    return branches


def check_branches(branches: list[Branch], trees: Mapping[str, Tree], where: str) -> None:
    """Refuse branches that the trees of this run do not have.

    Raises:
        FocusError: naming the first few, each with the nearest label.
    """
    strange = [b for b in branches if b.label not in trees[b.axis].row_of]
    known = {axis: _above(trees[axis]) for axis in {b.axis for b in strange}}
    strange = [b for b in strange if b.label not in known[b.axis]]
    if strange:
        named = "; ".join(
            f"{b.axis} {b.label!r}{hint_nearest(b.label, [*known[b.axis]][:20_000]).replace(';', ',')}"
            for b in strange[:NAMED]
        )
        more = f"; and {len(strange) - NAMED} more" if len(strange) > NAMED else ""
        raise FocusError(
            f"{where}: {len(strange)} of {len(branches)} branches are not in the label tree of this run: {named}{more}"
            ". Evaluate on data of this tree, or set tree.knowledge and tree.capability to the tree that was evaluated"
        )


def _above(tree: Tree) -> dict[str, None]:
    """Every label and every dotted beginning of one, in tree order."""
    return {beginning: None for label in tree.columns.ids for beginning in list_label_prefixes(label)}


def list_label_prefixes(label: str) -> Iterator[str]:
    """``a``, ``a.b`` and ``a.b.c`` of ``a.b.c``."""
    at = label.find(".")
    while at >= 0:
        yield label[:at]
        at = label.find(".", at + 1)
    yield label


def _of_set(data: Mapping[str, Any], name: str, path: Path) -> Any:
    sets = data.get("by_set") or {}
    if name not in sets:
        raise FocusError(
            f"focus.set: {path} has no evaluated set {name!r}{hint_nearest(name, sets)} "
            f"It has: {', '.join(sets) or 'none'}"
        )
    return sets[name]


def _branch(item: Any, place: str) -> Branch:
    try:
        return Branch.model_validate(item)
    except ValidationError as error:
        first = error.errors()[0]
        raise FocusError(f"{place}: {'.'.join(map(str, first['loc'])) or 'branch'}: {first['msg']}") from None
