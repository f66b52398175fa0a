"""The kinds of fault that a row can have: what happens to such a row, whether it stops a run, and what mends it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

Effect = Literal["fails", "dropped", "differs", "told"]
"""``fails``: the run would end at this row. ``dropped``: the host leaves the row out and goes on. ``differs``: the
model sees something else than a person. ``told``: worth knowing."""
STOPPING: tuple[Effect, ...] = ("fails", "dropped")


@dataclass(frozen=True)
class FaultKind:
    """A kind of fault: its effect, what is wrong, and the fix."""

    effect: Effect
    what: str
    fix: str


FAULTS: dict[str, FaultKind] = {
    "malformed": FaultKind("fails", "the row is not as its entry in dataset_info.json says", "correct either"),
    "no_column": FaultKind("fails", "a column that the trainer reads is missing", "add it, or correct `columns`"),
    "content": FaultKind("fails", "a turn's content is no text", "write plain text; pictures go into their own column"),
    "roles": FaultKind(
        "dropped",
        "turns are not user and assistant in alternation, beginning with the user",
        "reorder the turns, or correct `tags`; `drop_invalid: true` leaves such rows out",
    ),
    "turn_count": FaultKind(
        "dropped",
        "the turns do not end with a reply",
        "end with the assistant (a ranking set: with the user); `drop_invalid: true` leaves such rows out",
    ),
    "no_reply": FaultKind("dropped", "there is no reply to learn", "add it; `drop_invalid: true` leaves such rows out"),
    "placeholders": FaultKind(
        "fails",
        "media and their tags in the turns differ in number",
        "write one tag per picture, video or sound; text that talks about a tag must write it otherwise, e.g. <image >",
    ),
    "special_token": FaultKind(
        "fails",
        "the text holds the model's own token for pictures or videos",
        "take it out of the text: it would be counted as a picture that is not there",
    ),
    "no_vision": FaultKind(
        "fails",
        "the row has a picture, and the model has no vision part",
        "name a vision-language model, or take the pictures out",
    ),
    "no_chat_template": FaultKind(
        "told",
        "the row's tokens were not counted, because the model's folder has no chat template",
        "save its chat_template.jinja there: evaluation and RL need it too",
    ),
    "control_token": FaultKind(
        "told", "the text holds a special token of the tokenizer", "take it out, unless the model shall read it as such"
    ),
    "no_image": FaultKind("fails", "a picture does not exist", "correct the path, or set media_dir"),
    "no_media": FaultKind("fails", "a video or sound does not exist", "correct the path, or set media_dir"),
    "relative_image": FaultKind(
        "fails", "a picture's path is relative, and verl looks for it from its own folder", "write it absolute"
    ),
    "bad_image": FaultKind("fails", "a picture cannot be read", "replace the file, or take the row out"),
    "cropped": FaultKind(
        "differs",
        "a picture is more than 200 times as long as wide, and is squeezed for Qwen-VL and GLM-V",
        "crop it yourself",
    ),
    "deep_grey": FaultKind(
        "told",
        "a picture has more than 8 bits per channel, and is scaled to 8 by its largest possible value",
        "where the values of interest lie close together, stretch them yourself",
    ),
    "cmyk": FaultKind("differs", "a picture is in CMYK", "convert it to RGB (mindgpt data run does)"),
    "transparent": FaultKind(
        "told", "a picture has transparent parts, and is laid on white", "lay it on another ground where white hides it"
    ),
    "animated": FaultKind("differs", "a picture has several frames; one is read", "save the frame that counts"),
    "tag_as_text": FaultKind(
        "differs",
        "a tag in a row without media, which verl leaves in the text",
        "add the picture, or drop the tag",
    ),
    "not_counted": FaultKind(
        "told", "the row's tokens were not counted", "check by yourself that it is shorter than the stage's limit"
    ),
    "answer_type": FaultKind("fails", "there is no such answer_type", "correct it; `mindgpt list` shows them"),
    "gold": FaultKind("fails", "no reply can match the gold answer", "correct the answer or its answer_type"),
    "no_answer_type": FaultKind(
        "told", "there is no answer_type, so that the answer is compared as text", "add extra_info.answer_type"
    ),
    "float_gold": FaultKind(
        "told",
        "the gold answer is a whole number that a table program turned into a float, and is compared as the number",
        "write 5, not 5.0, or use the answer_type `number`",
    ),
    "no_difficulty": FaultKind("fails", "the curriculum needs a number as difficulty", "add it, or choose `shuffled`"),
    "odd_difficulty": FaultKind("told", "difficulty is no number in [0, 1]", "scale it to [0, 1]"),
    "empty_reply": FaultKind("told", "the reply is empty: the model learns to say nothing", "fill it, or drop the row"),
    "system_prompt": FaultKind(
        "differs",
        "LLaMA-Factory 0.9.5 adds 'detailed thinking off' to the system prompt of every row in the openai format",
        "use `formatting: sharegpt` with the tags role, content, user and assistant",
    ),
}
"""Effects on LLaMA-Factory 0.9.5 and verl 0.9.1, read in their sources and tried; see ``docs/rows.md``."""


@dataclass(frozen=True)
class Fault:
    """One fault of one row."""

    kind: str
    place: str
    detail: str = ""


@dataclass
class FaultCount:
    """Faults of one kind in one set: how many, and where."""

    kind: str
    count: int = 0
    places: list[str] = field(default_factory=list)
    """Place and detail of each."""

    def describe(self, most: int = 3) -> str:
        """One line: what, how many, the first places, the fix."""
        kind = FAULTS[self.kind]
        more = f" and {self.count - most} more" if self.count > most else ""
        return f"{kind.what}: {'; '.join(self.places[:most])}{more}; {kind.fix}"

    def dump(self) -> dict[str, Any]:
        """Plain JSON data."""
        kind = FAULTS[self.kind]
        return {
            "kind": self.kind,
            "effect": kind.effect,
            "count": self.count,
            "what": kind.what,
            "fix": kind.fix,
            "places": self.places,
        }


class FaultTally:
    """Counts faults by kind, in the order in which kinds were met."""

    def __init__(self) -> None:
        self.counts: dict[str, FaultCount] = {}

    def add(self, faults: Iterable[Fault]) -> None:
        """Count them."""
        for fault in faults:
            one = self.counts.setdefault(fault.kind, FaultCount(fault.kind))
            one.count += 1
            one.places.append(f"{fault.place}: {fault.detail}" if fault.detail else fault.place)

    def stopping(self, drop_invalid: bool = False) -> list[FaultCount]:
        """Those that stop a run; rows that the host drops do not where the recipe allows it."""
        effects = ("fails",) if drop_invalid else STOPPING
        return [one for one in self.counts.values() if FAULTS[one.kind].effect in effects]
