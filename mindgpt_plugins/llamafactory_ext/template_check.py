"""Compares a chat template of LLaMA-Factory with the model's own, on real rows, token by token.

``python -m mindgpt_plugins.llamafactory_ext.template_check MODEL TEMPLATE DATASET.json``

LLaMA-Factory trains on the markup of its named template; rollouts, evaluation and servers use the chat template in the
model's folder. Where the two differ, a model is trained on one conversation and asked in another: nothing fails, the
replies are worse. Both sides are rendered by their own code: the host's converter, ``mm_plugin`` and ``Template``; the
processor's (or tokenizer's) ``apply_chat_template``.

``TEMPLATE`` may be ``auto``: the one that is the model's own. What is compared, and what is harmless, says
:mod:`.template_compare`.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import get_args

from mindgpt_plugins.core.dataset_files import DatasetError, read_set_info, read_set_rows
from mindgpt_plugins.families import Thinking
from mindgpt_plugins.llamafactory_ext.template_choice import AUTO, OWN, choose_template, list_fitting
from mindgpt_plugins.llamafactory_ext.template_compare import HARMLESS, Difference, TemplateVerdict, judge_template
from mindgpt_plugins.llamafactory_ext.template_sides import (
    HostTemplate,
    Own,
    TemplateError,
    find_listed_set,
    make_blanks,
    read_template_rows,
)

ROWS = 64
"""Rows that are compared at most, evenly over a set."""


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
        template: LLaMA-Factory's name of it, or ``auto``.
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
        own = Own(model, thinking)
        if template == AUTO:
            template = choose_template(own, default_system, thinking)
        if template == OWN:
            try:
                return replace(_judge_own_rows(own, folder, name, rows, default_system), template=OWN)
            except DatasetError as error:
                raise TemplateError(str(error)) from None
        compared = read_template_rows(folder, name, rows)
        host = HostTemplate(template, own, default_system, thinking)
        found = judge_template(host, own, compared, strict)
        if found.fault is None and "system" not in found.notes:
            return replace(found, template=template)
        fitting = list_fitting(own, compared, template, default_system, thinking)
        if found.fault is None and any("thinking:" not in one for one in fitting):
            found = judge_template(host, own, compared, strict=True)
        return replace(found, template=template, fitting=fitting)


def _judge_own_rows(own: Own, folder: Path, name: str, most: int, default_system: str | None) -> TemplateVerdict:
    """There is nothing to compare; but rows may be of a shape that the model's template is not asked to lay out."""
    from mindgpt_plugins.llamafactory_ext.own_template import Layout, OwnTemplateError

    columns = read_set_info(folder, name).columns
    others = [columns[kind] for kind in ("tools", "videos", "audios") if kind in columns]
    for raw in read_set_rows(folder, name):
        if any(raw.data.get(column) for column in others):
            why = "it lays out texts and pictures only; name a template for tools, videos and sounds"
            return TemplateVerdict(0, {}, Difference(raw.place, 0, "", "", why))
    rows = read_template_rows(folder, name, most)
    for number, row in enumerate(rows):
        layout = Layout(own.family, row.messages, row.system or default_system or "", make_blanks(row))
        try:
            layout.encode_turn(len(row.messages) - 1)
        except OwnTemplateError as error:
            return TemplateVerdict(number, {}, Difference(row.place, 0, "", "", str(error)))
    return TemplateVerdict(len(rows), {}, None)


def resolve_template(model: str, default_system: str | None, thinking: Thinking) -> str:
    """The name that ``auto`` means for a model.

    Raises:
        TemplateError: the model has no chat template.
    """
    with _silence_host():
        return choose_template(Own(model, thinking), default_system, thinking)


@contextmanager
def _silence_host() -> Iterator[None]:
    logging.disable(logging.WARNING)  # the host's advice on templates is what this check replaces
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


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
    if found.template == OWN and fault is None:
        print(f"template 'own' is that of {given.model} itself: {found.rows} rows of {given.dataset} laid out")
        return 0
    if fault is None:
        print(f"template {found.template!r} fits {given.model}: {found.rows} rows of {given.dataset} compared")
        return 0
    print(
        f"template {found.template!r} does not fit {given.model}: {given.dataset}, {fault.place}, token {fault.token}"
    )
    print(f"  LLaMA-Factory: {fault.host!r}\n  the model's:   {fault.model!r}")
    if fault.why:
        print(f"  {fault.why}")
    print(f"  LLaMA-Factory's templates that fit as they are: {', '.join(found.fitting) or 'none'}")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
