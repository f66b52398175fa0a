"""Finds the chat templates of LLaMA-Factory that are a model's own, and the one that ``template: auto`` means.

LLaMA-Factory 0.9.5 has some 120 named templates and takes the one it is told, or a bare ``default``. A model folder has
its own; which name is the same markup can be tried.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from mindgpt_plugins.families import Thinking
from mindgpt_plugins.families.thinking import OPENED
from mindgpt_plugins.llamafactory_ext.template_compare import judge_template
from mindgpt_plugins.llamafactory_ext.template_sides import ConvertedRow, HostTemplate, Own

AUTO = "auto"
OWN = "own"
"""The model's own chat template and processor, by :mod:`.own_template`."""


def choose_template(own: Own, default_system: str | None, thinking: Thinking) -> str:
    """The template that writes the model's own markup, tried on every plain shape; :data:`OWN` if there is none."""
    rows = make_probe_rows(own)
    noted = []
    for name, notes in find_fitting(own, rows, default_system, thinking):
        if not notes:
            return name
        if "system" not in notes:
            noted.append(name)
    return noted[0] if noted else OWN


def list_fitting(
    own: Own, rows: list[ConvertedRow], but: str, default_system: str | None, thinking: Thinking
) -> tuple[str, ...]:
    """Templates that fit as they are; where there are none, those that do with thoughts switched otherwise.

    Args:
        own: the model's side.
        rows: to fit on.
        but: the template that is known not to.
        default_system: LLaMA-Factory's ``default_system``.
        thinking: how both sides are switched.
    """
    found = tuple(name for name, noted in find_fitting(own, rows, default_system, thinking, but) if not noted)
    if found:
        return found
    others: list[Thinking] = [one for one in ("off", "on", "model") if one != thinking]
    return tuple(
        f"{name} with thinking: {other}"
        for other in others
        for name, noted in find_fitting(own.switch(other), rows, default_system, other)
        if "system" not in noted
    )


def find_fitting(
    own: Own, rows: list[ConvertedRow], default_system: str | None, thinking: Thinking, but: str = ""
) -> Iterator[tuple[str, Mapping[str, int]]]:
    """Each template without a fault and its notes, those whose name begins as the model's type does first."""
    from llamafactory.data.template import TEMPLATES

    text = own.decode(own.render(rows[0]))

    def rank(one: str) -> tuple[bool, int]:
        return not own.model_type.startswith(one), -len(os.path.commonprefix([one, own.model_type]))

    for name in sorted(TEMPLATES, key=rank):
        # What stands around a user's words must be in the model's own text: it saves a copy of the tokenizer for each.
        slots = [slot for slot in TEMPLATES[name].format_user.slots if isinstance(slot, str)]
        around = [part.strip() for slot in slots for part in slot.split("{{content}}")]
        if name == but or not all(part in text for part in around):
            continue
        verdict = judge_template(HostTemplate(name, own, default_system, thinking), own, rows)
        if verdict.fault is None:
            yield name, verdict.notes


def make_probe_rows(own: Own) -> list[ConvertedRow]:
    """Conversations of every plain shape: a picture where the model sees, a history, a system prompt.

    Replies of a model that opens a thought by itself begin with one.
    """
    sees = own.processor is not None
    picture, files = ("<image>", ["probe.png"]) if sees else ("", [])
    question = {"role": "user", "content": f"{picture}What colour is it?"}
    bare = ConvertedRow("a probe", [question, {"role": "assistant", "content": ""}], "", files, [])
    opens = own.decode(own.render_prompt(bare)[0]).rstrip().endswith(OPENED)
    reply = {"role": "assistant", "content": f"{OPENED}\nI look.\n</think>\n\nRed." if opens else "Red."}
    asked = [question, reply]
    again = [*asked, {"role": "user", "content": "And how large?"}, {**reply, "content": reply["content"] + " Small."}]
    return [
        ConvertedRow("a probe", asked, "", files, []),
        ConvertedRow("a probe with a system prompt", asked, "You are brief.", files, []),
        ConvertedRow("a probe with a history", again, "", files, []),
    ]
