"""Answers what only LLaMA-Factory itself knows, for a process that must not import it.

``python -m mindgpt_plugins.llamafactory_ext.questions`` reads a JSON object per line and answers with one: the import
of the host takes seconds and half a gigabyte, which a runner must not hold while it waits for a training.
"""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from mindgpt_plugins.families import Thinking
from mindgpt_plugins.llamafactory_ext.host_keys import find_setting_problems

IDLE = 60.0
"""Seconds without a question after which the process ends."""


def answer_settings(text: str, keys: list[str]) -> dict[str, Any]:
    """``problems``: see :func:`.host_keys.find_setting_problems`."""
    return {"problems": find_setting_problems(text, keys)}


def answer_template(
    model: str, template: str, folder: str, name: str, default_system: str | None, thinking: Thinking
) -> dict[str, Any]:
    """``problem``: a line, or null; ``unknown``: why nothing could be compared. See :mod:`.template_check`."""
    from mindgpt_plugins.llamafactory_ext.template_check import check_template
    from mindgpt_plugins.llamafactory_ext.template_sides import TemplateError

    try:
        found = check_template(model, template, Path(folder), name, default_system=default_system, thinking=thinking)
    except TemplateError as error:
        return {"problem": None, "unknown": str(error)}
    return {"problem": None if found.fault is None else found.describe(model), "unknown": None}


def answer_choice(model: str, default_system: str | None, thinking: Thinking) -> dict[str, Any]:
    """``template``: the name that ``auto`` means, or null; ``unknown``: why there is none."""
    from mindgpt_plugins.llamafactory_ext.template_check import resolve_template
    from mindgpt_plugins.llamafactory_ext.template_sides import TemplateError

    try:
        return {"template": resolve_template(model, default_system, thinking), "unknown": None}
    except TemplateError as error:
        return {"template": None, "unknown": str(error)}


ABOUT: dict[str, Callable[..., dict[str, Any]]] = {
    "settings": answer_settings,
    "template": answer_template,
    "choice": answer_choice,
}


def main() -> None:
    """Answer questions until they end or none comes for a while."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # the host logs to stdout, where the answers go
    for line in _lines():
        question = json.loads(line)
        found = ABOUT[question.pop("about")](**question)
        print(json.dumps(found), file=answers, flush=True)


def _lines() -> Iterable[str]:
    while select.select([sys.stdin], [], [], IDLE)[0] and (line := sys.stdin.readline()):
        yield line


if __name__ == "__main__":
    main()
