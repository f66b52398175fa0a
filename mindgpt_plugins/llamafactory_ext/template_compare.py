"""Compares the two sides of a chat template row by row: which differences are harmless, and where the first other is.

The prompt that a reply is generated from must be, id by id, what training had before that reply, and may go on into it:
a model that opens its thoughts itself was trained on the opening as well. Of the rest some differences are harmless.
They are recognised one by one, said as notes, and refused only with ``--strict``:

* ``newline``: white space after the last end-of-turn token; generation has stopped by then.
* ``split``: the same text in other tokens before the model's turn or in its reply; the host encodes turns apart.
* ``system``: one side has a default system prompt that the row does not ask for; with one and the same system prompt
  both sides agree. ``llamafactory: {default_system: …}`` makes them equal. A fault where another template fits as it
  is: then the default is that of another model.
* ``think``: an empty think block that the model's template writes before a finished reply and the host's does not. The
  prompt is the same. The other way round it is a fault: the model would learn to begin each reply with the block.
* ``history``: the same blocks in earlier replies of a conversation, where the host trains on each turn as if the last.

How many tokens a picture has is not compared (its size decides, not the template); that and where it stands is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mindgpt_plugins.llamafactory_ext.template_sides import ConvertedRow, HostRefusal, HostTemplate, Own

SYSTEM = "You answer in one sentence."
"""Given to both sides to see whether only their defaults differ."""
BEFORE, AFTER = 8, 24
"""Tokens shown before and after the first difference."""
HARMLESS = {
    "newline": "white space after the last end-of-turn token differs; generation stops before it",
    "split": "the same text is cut into other tokens; the trainer encodes turns apart",
    "system": "the default system prompts differ, nothing else; llamafactory: {default_system: …} makes them equal",
    "think": "the model's own template writes an empty think block before a finished reply, the trainer's does not; "
    "the prompt is the same",
    "history": "empty think blocks in earlier replies: the trainer treats each turn as the last one",
}


@dataclass(frozen=True)
class Difference:
    """The first place where the two sides differ, with what stands around it."""

    place: str
    token: int
    host: str
    model: str
    why: str = ""


@dataclass(frozen=True)
class TemplateVerdict:
    """What came out for one template.

    Attributes:
        rows: that were compared.
        notes: harmless difference → how many rows have it.
        fault: the first that is not harmless.
        fitting: templates of the host that fit as they are, looked for where this one does not.
        template: the host's name of it.
    """

    rows: int
    notes: Mapping[str, int]
    fault: Difference | None
    fitting: tuple[str, ...] = ()
    template: str = ""

    def describe(self, model: str) -> str:
        """One line for a problem list; ``model`` as the reader knows it."""
        assert self.fault is not None
        one = self.fault
        if self.template == "own":
            return f"template 'own' cannot lay out {one.place}: {one.why}"
        shown = f": trained {one.host!r}, asked {one.model!r}" if one.host or one.model else ""
        which = ", ".join(self.fitting) or "no name of LLaMA-Factory's"
        return (
            f"template {self.template!r} does not fit {model}: {one.place}, token {one.token}{shown}"
            f"{f'; {one.why}' if one.why else ''}; what fits: {which}, or own (the model's by itself)"
        )


def compare_template_row(host: HostTemplate, own: Own, row: ConvertedRow) -> tuple[list[str], Difference | None]:
    """The notes on a row, or where its two sides differ for good.

    Raises:
        HostRefusal: the host cannot lay it out.
    """
    mine, theirs = own.render(row), host.render(row)
    for system in (None, *([] if row.system else [SYSTEM])):
        a, b = host.render(row, system), own.render(row, system)
        notes = ["system"] if system else []
        left, right = host.decode(a), own.decode(b)
        if left.rstrip() != right.rstrip():
            left, right = (side.replace(host.empty_thought, "") for side in (left, right))
            if left.rstrip() != right.rstrip():
                continue
            if _thought(host, a) and not _thought(host, b):
                why = "the trainer's side begins replies with an empty think block that the model's own never has"
                return [], _first(host, own, row, theirs, mine, why)
            notes.append("history" if _thought(host, a) == _thought(host, b) else "think")
        elif a != b:
            notes.append("newline" if left != right else "split")
        unasked = _find_unasked(host, own, row, system)
        if unasked is not None:
            return [], unasked
        return notes, None
    return [], _first(host, own, row, theirs, mine)


def _find_unasked(host: HostTemplate, own: Own, row: ConvertedRow, system: str | None) -> Difference | None:
    """Where the prompt of a row's last reply is not what training had before that reply."""
    unlearned, reply = host.render_sides(row, system)
    trained = unlearned + reply
    prompt, turn = own.render_prompt(row, system)
    before, opening = prompt[:turn], prompt[turn:]

    def flatten(text: str) -> str:  # blocks of earlier replies are judged with the conversation
        return text.replace(host.empty_thought, "")

    # The prompt must reach the first token that is learned, and may reach further.
    for start in range(max(0, len(unlearned) - len(opening)), len(unlearned) + 1):
        if trained[start : start + len(opening)] == opening and flatten(host.decode(trained[:start])) == flatten(
            own.decode(before)
        ):
            return None
    why = "the conversation is equal, but replies are generated from a prompt that was not trained on"
    return _first(host, own, row, trained, prompt, why)


def _thought(host: HostTemplate, ids: list[int]) -> bool:
    """Whether the last turn has an empty think block."""
    turns = host.decode(ids).rstrip().split(host.tokenizer.eos_token)
    return host.empty_thought in "".join(turns[-2:])


def _first(host: HostTemplate, own: Own, row: ConvertedRow, a: list[int], b: list[int], why: str = "") -> Difference:
    at = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    start = max(0, at - BEFORE)
    shown = host.decode(a[start : at + AFTER]), own.decode(b[start : at + AFTER])
    return Difference(row.place, at, *shown, why)


def judge_template(host: HostTemplate, own: Own, rows: list[ConvertedRow], strict: bool = False) -> TemplateVerdict:
    """Compare all rows; stops at the first fault."""
    counts: dict[str, int] = {}
    for number, row in enumerate(rows):
        try:
            notes, fault = compare_template_row(host, own, row)
        except HostRefusal as error:
            fault = Difference(row.place, 0, str(error), own.decode(own.render(row)[:AFTER]))
            return TemplateVerdict(number, counts, fault)
        if strict and notes:
            fault = _first(host, own, row, host.render(row), own.render(row), HARMLESS[notes[0]])
        if fault is not None:
            return TemplateVerdict(number, counts, fault)
        for note in notes:
            counts[note] = counts.get(note, 0) + 1
    return TemplateVerdict(len(rows), counts, None)
