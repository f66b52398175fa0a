"""Compares a chat template of LLaMA-Factory with the model's own, on real rows, token by token.

``python -m mindgpt_plugins.llamafactory_ext.template_check MODEL TEMPLATE DATASET.json``

LLaMA-Factory trains on the markup of its named template; rollouts, evaluation and servers use the chat template in the
model's folder. Where the two differ, a model is trained on one conversation and asked in another: nothing fails, the
replies are worse. Both sides are rendered by their own code: the host's converter, ``mm_plugin`` and ``Template``; the
processor's (or tokenizer's) ``apply_chat_template``.

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

import argparse
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from mindgpt_plugins.families import Thinking
from mindgpt_plugins.llamafactory_ext.template_sides import (
    ConvertedRow,
    HostRefusal,
    HostTemplate,
    Own,
    TemplateError,
    find_listed_set,
    read_template_rows,
)

SYSTEM = "You answer in one sentence."
"""Given to both sides to see whether only their defaults differ."""
ROWS = 64
"""Rows that are compared at most, evenly over a set."""
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
    """

    rows: int
    notes: Mapping[str, int]
    fault: Difference | None
    fitting: tuple[str, ...] = ()

    def describe(self, template: str, model: str) -> str:
        """One line for a problem list.

        Args:
            template: that was asked for.
            model: as the reader knows it.
        """
        assert self.fault is not None
        one = self.fault
        shown = f": trained {one.host!r}, asked {one.model!r}" if one.host or one.model else ""
        which = ", ".join(self.fitting) or "none of LLaMA-Factory's"
        return (
            f"template {template!r} does not fit {model}: {one.place}, token {one.token}{shown}"
            f"{f'; {one.why}' if one.why else ''}; what fits: {which}"
        )


def check_template(
    model: str,
    template: str,
    folder: Path,
    name: str,
    *,
    rows: int = ROWS,
    default_system: str | None = None,
    thinking: Thinking = "model",
    strict: bool = False,
) -> TemplateVerdict:
    """Compare a template on the rows of a set.

    Args:
        model: folder with tokenizer, processor and chat template.
        template: LLaMA-Factory's name of it.
        folder: with the ``dataset_info.json`` that lists the set.
        name: of the set.
        rows: at most, evenly over the set.
        default_system: LLaMA-Factory's ``default_system``.
        thinking: how both templates are switched.
        strict: whether harmless differences are faults too.

    Raises:
        TemplateError: nothing can be compared.
    """
    with _silence_host():
        own, compared = Own(model, thinking), read_template_rows(folder, name, rows)
        host = HostTemplate(template, own, default_system, thinking)
        found = judge_template(host, own, compared, strict)
        if found.fault is None and "system" not in found.notes:
            return found
        fitting = _list_fitting(own, compared, template, default_system, thinking)
        if found.fault is None and any("thinking:" not in one for one in fitting):
            found = judge_template(host, own, compared, strict=True)
        return TemplateVerdict(found.rows, found.notes, found.fault, fitting)


def _list_fitting(
    own: Own, rows: list[ConvertedRow], but: str, default_system: str | None, thinking: Thinking
) -> tuple[str, ...]:
    """Templates that fit as they are; where there are none, those that do with thoughts switched otherwise."""
    found = tuple(name for name, noted in _find_fitting(own, rows, default_system, thinking, but) if not noted)
    if found:
        return found
    others: list[Thinking] = [one for one in ("off", "on", "model") if one != thinking]
    return tuple(
        f"{name} with thinking: {other}"
        for other in others
        for name, noted in _find_fitting(own.switch(other), rows, default_system, other)
        if "system" not in noted
    )


def _find_fitting(
    own: Own, rows: list[ConvertedRow], default_system: str | None, thinking: Thinking, but: str = ""
) -> Iterator[tuple[str, Mapping[str, int]]]:
    """Each template without a fault, with its notes."""
    from llamafactory.data.template import TEMPLATES

    text = own.decode(own.render(rows[0]))
    for name, template in TEMPLATES.items():
        # What stands around a user's words must be in the model's own text: it saves a copy of the tokenizer for each.
        slots = [slot for slot in template.format_user.slots if isinstance(slot, str)]
        around = [part.strip() for slot in slots for part in slot.split("{{content}}")]
        if name == but or not all(part in text for part in around):
            continue
        verdict = judge_template(HostTemplate(name, own, default_system, thinking), own, rows)
        if verdict.fault is None:
            yield name, verdict.notes


@contextmanager
def _silence_host() -> Iterator[None]:
    logging.disable(logging.WARNING)  # the host's advice on templates is what this check replaces
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


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


def main(argv: list[str]) -> int:
    """Run the check; 0: the template fits, 1: it does not, 2: nothing could be compared."""
    parser = argparse.ArgumentParser("template_check", description="LLaMA-Factory's template against the model's own.")
    parser.add_argument("model", help="folder with tokenizer, processor and chat template")
    parser.add_argument("template", help="LLaMA-Factory's name, e.g. qwen3_vl_nothink")
    parser.add_argument("dataset", type=Path, help="JSON file that a dataset_info.json beside it lists")
    parser.add_argument("--rows", type=int, default=ROWS, help="rows at most, evenly over the file")
    parser.add_argument("--default-system", help="as in LLaMA-Factory's default_system")
    parser.add_argument("--thinking", choices=get_args(Thinking), default="model", help="as in the recipe")
    parser.add_argument("--strict", action="store_true", help="harmless differences fail too")
    given = parser.parse_args(argv)
    try:
        found = check_template(
            given.model,
            given.template,
            given.dataset.parent,
            find_listed_set(given.dataset),
            rows=given.rows,
            default_system=given.default_system,
            thinking=given.thinking,
            strict=given.strict,
        )
    except TemplateError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for note, count in found.notes.items():
        print(f"note ({note}, {count} of {found.rows} rows): {HARMLESS[note]}")
    fault = found.fault
    if fault is None:
        print(f"template {given.template!r} fits {given.model}: {found.rows} rows of {given.dataset} compared")
        return 0
    print(
        f"template {given.template!r} does not fit {given.model}: {given.dataset}, {fault.place}, token {fault.token}"
    )
    print(f"  LLaMA-Factory: {fault.host!r}\n  the model's:   {fault.model!r}")
    if fault.why:
        print(f"  {fault.why}")
    print(f"  LLaMA-Factory's templates that fit as they are: {', '.join(found.fitting) or 'none'}")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
