"""Whether a model writes its thoughts before a reply: the one switch of hybrid models, as every stage turns it.

Chat templates of Qwen3, Qwen3.5, GLM-4.5 and later, Gemma 4 and others take ``enable_thinking``; what they do without
it differs (Qwen3.5 opens a thought, Gemma 4 opens none). A model is asked as it was trained only if both agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from mindgpt_plugins.families.family import ModelFamily

Thinking = Literal["on", "off", "model"]
"""``model``: as the model's own chat template does when nobody says."""
SWITCH = "enable_thinking"
_OPEN, _CLOSE = "<think>", "</think>"


def list_template_switches(thinking: Thinking) -> dict[str, bool]:
    """Arguments of a chat template."""
    return {} if thinking == "model" else {SWITCH: thinking == "on"}


def find_thinking_problem(family: ModelFamily, thinking: Thinking) -> str | None:
    """Why a model cannot be switched as asked; None where it can.

    Args:
        family: of the model, with a chat template.
        thinking: as the recipe asks.
    """
    if thinking == "model":
        return None
    question = [{"role": "user", "content": "?"}]
    prompts = {on: family.render_chat(question, thinking="on" if on else "off") for on in (True, False)}
    if prompts[True] != prompts[False]:
        return None
    tail = prompts[True].rstrip()
    opens = tail.endswith(_OPEN)
    if opens == (thinking == "on") or (thinking == "off" and tail.endswith(_CLOSE)):
        return None
    does = "always opens a thought" if opens else "never opens one"
    return (
        f"thinking: {thinking}, but the model's chat template has no switch ({SWITCH}) and {does}; set thinking: "
        "model, or take a model that has the switch"
    )
