"""Compares a chat template of LLaMA-Factory with the model's own, on real rows, token by token.

``python -m mindgpt_plugins.llamafactory_ext.template_check MODEL TEMPLATE DATASET.json``

LLaMA-Factory trains on the markup of its named template; rollouts, evaluation and servers use the chat template in the
model's folder. Where the two differ, a model is trained on one conversation and asked in another: nothing fails, the
replies are worse. Both sides are rendered by their own code: the host's converter, ``mm_plugin`` and ``Template``; the
processor's (or tokenizer's) ``apply_chat_template``.

Some differences are harmless. They are recognised one by one, said as notes, and refused only with ``--strict``:

* ``newline``: white space after the last end-of-turn token; generation has stopped by then.
* ``split``: the same text in other tokens where a reply begins; the host encodes prompt and reply apart, as generation
  does.
* ``system``: one side has a default system prompt that the row does not ask for; with one and the same system prompt
  both sides agree. ``llamafactory: {default_system: …}`` makes them equal. A fault where another of :data:`LIKELY` fits
  as it is: then the default is that of another model.
* ``think``: an empty think block that the model's template writes before a finished reply and the host's does not. The
  prompt is the same. The other way round it is a fault: the model would learn to begin each reply with the block.
* ``history``: the same blocks in earlier replies of a conversation, where the host trains on each turn as if the last.

How many tokens a picture has is not compared (its size decides, not the template); that and where it stands is.
"""

from __future__ import annotations

import argparse
import copy
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindgpt_plugins.llamafactory_ext.template_sides import (
    ConvertedRow,
    HostTemplate,
    Own,
    TemplateError,
    read_template_rows,
)

SYSTEM = "You answer in one sentence."
"""Given to both sides to see whether only their defaults differ."""
LIKELY = ("qwen3_vl_nothink", "qwen3_vl", "qwen2_vl", "qwen3_nothink", "qwen3", "qwen")
"""Tried where the named template does not fit; all of them end a turn with the same token."""
BEFORE, AFTER = 8, 24
"""Tokens shown before and after the first difference."""
HARMLESS = {
    "newline": "white space after the last end-of-turn token differs; generation stops before it",
    "split": "the same text is cut into other tokens where a reply begins; generation cuts it as the trainer does",
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
    """What came out for one template: rows compared, how many of them with which note, and the first fault."""

    rows: int
    notes: Mapping[str, int]
    fault: Difference | None


def compare_template_row(host: HostTemplate, own: Own, row: ConvertedRow) -> tuple[list[str], Difference | None]:
    """The notes on a row, or where its two sides differ for good."""
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
        asked = [own.decode(prompt) for prompt in own.prompts(row, system)]
        if left != host.decode(a):
            asked = [prompt.replace(host.empty_thought, "") for prompt in asked]
        if not any(left.startswith(prompt) for prompt in asked):
            prompt = next(own.prompts(row))
            why = "the conversation is equal, but replies are generated from a prompt that was not trained on"
            return [], _first(host, own, row, theirs, prompt, why)
        return notes, None
    return [], _first(host, own, row, theirs, mine)


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
        except (ValueError, IndexError) as error:
            fault = Difference(row.place, 0, f"cannot render it: {error}", own.decode(own.render(row)[:AFTER]))
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
    parser.add_argument("--rows", type=int, default=64, help="rows at most, evenly over the file")
    parser.add_argument("--default-system", help="as in LLaMA-Factory's default_system")
    parser.add_argument("--no-thinking", action="store_true", help="as LLaMA-Factory's enable_thinking: false")
    parser.add_argument("--strict", action="store_true", help="harmless differences fail too")
    given = parser.parse_args(argv)
    logging.disable(logging.WARNING)  # the host's advice on templates is what this check replaces
    try:
        own, rows = Own(given.model), read_template_rows(given.dataset, given.rows)

        def tried(name: str, tokenizer: Any, strict: bool = given.strict) -> TemplateVerdict:
            host = HostTemplate(name, tokenizer, own.processor, given.default_system, not given.no_thinking)
            return judge_template(host, own, rows, strict)

        copied = copy.deepcopy(own.tokenizer)
        found = tried(given.template, copied)
        exact: list[str] = []
        if found.fault is not None or "system" in found.notes:
            shared = copy.deepcopy(own.tokenizer)
            verdicts = {name: tried(name, shared) for name in LIKELY if name != given.template}
            exact = [name for name, one in verdicts.items() if one.fault is None and not one.notes]
            if exact and found.fault is None:
                found = tried(given.template, copied, strict=True)
    except TemplateError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    finally:
        logging.disable(logging.NOTSET)
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
    tail = ", ".join(exact) or f"none of {', '.join(verdicts)}"
    print(f"  LLaMA-Factory's templates that fit as they are: {tail}")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
