"""What a reward sees and returns, and the decorator that registers it.

A reward is a function, plain or ``async``, of one :class:`Rollout` (``scope="sample"``) or of one :class:`Group` of
rollouts of the same prompt (``scope="group"``); its keyword-only arguments are its options in the recipe::

    @reward                                        # role="task" | "gate" | "modulator"
    def unit_match(r: Rollout, *, rel_tol: float = 1e-3) -> Score | None:      # None = not scored
        want, got = parse(r.target), parse(r.text)
        return Score(float(got is not None and isclose(got, want, rel_tol=rel_tol)), log={"parsed": got is not None})

Source: ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, overload

from mindgpt_plugins.core.registry import register

Role = Literal["task", "gate", "modulator"]
Scope = Literal["sample", "group"]
MARK = "__mindgpt_reward__"

CORRECT = 0.5
"""A reply is correct when its gated task score is at least this."""

#: Allowed interval of a value by role. Task scores start at -1 on adversarial prompts, and of ``signed`` rewards.
RANGES: dict[str, tuple[float, float]] = {"task": (0.0, 1.0), "gate": (0.0, 1.0), "modulator": (0.0, 1.0)}


class RewardError(ValueError):
    """A reward raised or returned something unusable; the message names the reward and the sample."""


@dataclass(frozen=True)
class Rollout:
    """One reply of the policy to one prompt."""

    text: str
    """The reply, decoded without special tokens."""
    target: str
    """The gold answer."""
    prompt: str = ""
    """The question, without image placeholders."""
    answer_type: str = "text"
    type: str = "verifiable"
    """Prompt type: verifiable, open or adversarial."""
    source: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Label-tree leaves: ``knowledge`` and ``capability``."""
    boxes: str | None = None
    """Coordinates of a ``box`` target, one of :data:`mindgpt_plugins.answers.BOX_CONVENTIONS`; None when not known."""
    difficulty: float = 0.0
    length: int = 0
    """Tokens of the reply, end-of-sequence included."""
    token_ids: Sequence[int] = ()
    uid: str = ""
    """The dataset row."""
    step: int = 0
    progress: float = 0.0
    """Share of the run that is done, 0 at the first step and 1 at the last."""
    load_images: Callable[[], list[Any]] | None = field(default=None, repr=False, compare=False)

    def images(self) -> list[Any]:
        """The prompt's images (PIL), decoded on request.

        Raises:
            RewardError: where images are not at hand (group-scope rewards run in the trainer, without them).
        """
        if self.load_images is None:
            raise RewardError(f"images of sample {self.uid!r} are not available here; use a reward of scope 'sample'")
        return self.load_images()


@dataclass(frozen=True)
class Group:
    """All replies to one prompt, with their gated task scores."""

    rollouts: Sequence[Rollout]
    scores: Sequence[float]
    """Gated task score r of each reply, not modulated."""

    @property
    def correct(self) -> list[bool]:
        """Is each reply correct?"""
        return [score >= CORRECT for score in self.scores]

    @property
    def share_correct(self) -> float:
        """p̂: share of correct replies."""
        return sum(self.correct) / len(self.rollouts) if self.rollouts else 0.0


@dataclass(frozen=True)
class Score:
    """A reward's value and whatever else should be logged beside it."""

    value: float
    log: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Spec:
    """What the decorator knows about a reward."""

    name: str
    role: Role
    scope: Scope
    penalty: bool
    """Modulators only: the value lowers a correct reply's score instead of raising it."""
    signed: bool = False
    """Tasks only: the value may be as low as -1 on every prompt, not only on adversarial ones."""


RewardFunction = Callable[..., Any]


@overload
def reward(function: RewardFunction, /) -> RewardFunction: ...
@overload
def reward(
    *,
    name: str | None = None,
    role: Role = "task",
    scope: Scope = "sample",
    penalty: bool = False,
    signed: bool = False,
) -> Callable[[RewardFunction], RewardFunction]: ...
def reward(
    function: RewardFunction | None = None,
    /,
    *,
    name: str | None = None,
    role: Role = "task",
    scope: Scope = "sample",
    penalty: bool = False,
    signed: bool = False,
) -> RewardFunction | Callable[[RewardFunction], RewardFunction]:
    """Register a function as a reward.

    Args:
        function: set when used without parentheses.
        name: recipe name; default: the function's.
        role: ``task`` (a score in [0, 1]; adversarial prompts [-1, 1]), ``gate`` (0 or 1, multiplies) or ``modulator``
            (u in [0, 1], multiplies a *correct* reply's score by 1 ± weight·u).
        scope: ``sample`` (one :class:`Rollout`) or ``group`` (one :class:`Group`, modulators only; returns one
            ``Score | None`` per rollout).
        penalty: the modulator lowers the score.
        signed: the task's values may go down to -1 on every prompt.

    Raises:
        ValueError: unknown role or scope, or a combination that has no meaning.
        RegistryError: name taken, or a signature other than one positional parameter and keyword-only options.
    """
    if role not in RANGES or scope not in ("sample", "group"):
        raise ValueError(
            f"reward role {role!r}, scope {scope!r}: role is task, gate or modulator; scope sample or group"
        )
    if scope == "group" and role != "modulator":
        raise ValueError(f"a {role} reward judges one reply; scope 'group' is for role 'modulator'")
    if penalty and role != "modulator":
        raise ValueError(f"penalty=True is for modulators, not for role {role!r}")
    if signed and role != "task":
        raise ValueError(f"signed=True is for tasks, not for role {role!r}")

    def add(target: RewardFunction) -> RewardFunction:
        spec = Spec(name or str(getattr(target, "__name__", "")), role, scope, penalty, signed)
        register("reward", spec.name)(target)
        setattr(target, MARK, spec)
        return target

    return add if function is None else add(function)


def find_reward_spec(name: str, function: RewardFunction) -> Spec:
    """The decorator's record of a registered reward.

    Raises:
        RewardError: the object was offered (for example by an entry point) without the ``@reward`` decorator.
    """
    spec = getattr(function, MARK, None)
    if not isinstance(spec, Spec):
        raise RewardError(f"reward {name!r} is not decorated: write `@reward` (mindgpt_plugins.rewards.sdk) above it")
    return spec


def describe_sample_place(spec: Spec, rollout: Rollout) -> str:
    """Which reward and which sample, for messages."""
    return f"reward {spec.name!r}, sample {rollout.uid!r} (reply {rollout.text[:80]!r})"


def check_reward_result(spec: Spec, result: object, rollout: Rollout) -> Score | None:
    """Return a reward's result as ``Score`` or ``None`` (not scored); a bare number is a ``Score``.

    Raises:
        RewardError: not a number, NaN or infinite, or outside the role's range.
    """
    where = describe_sample_place(spec, rollout)
    if result is None:
        return None
    score = result if isinstance(result, Score) else Score(result)  # type: ignore[arg-type]
    value = score.value
    if isinstance(value, str) or not hasattr(value, "__float__"):
        raise RewardError(f"{where}: returned {value!r}; return Score(number), a number, or None for 'not scored'")
    value = float(value)
    if not math.isfinite(value):
        raise RewardError(f"{where}: returned {value}; return None when the reply cannot be scored")
    low, high = RANGES[spec.role]
    if spec.role == "task" and (spec.signed or rollout.type == "adversarial"):
        low = -1.0
    if not low <= value <= high or (spec.role == "gate" and value not in (0.0, 1.0)):
        wanted = "0 or 1" if spec.role == "gate" else f"a number from {low:g} to {high:g}"
        raise RewardError(f"{where}: returned {value:g}; a {spec.role} must return {wanted}")
    return Score(value, score.log)
