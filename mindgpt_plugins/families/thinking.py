"""Whether a model writes its thoughts before a reply: the one switch of hybrid models, as every stage turns it.

Chat templates of Qwen3, Qwen3.5, GLM-4.5 and later, Gemma 4 and others take ``enable_thinking``; what they do without
it differs (Qwen3.5 opens a thought, Gemma 4 opens none). A model is asked as it was trained only if both agree.
"""

from __future__ import annotations

from typing import Literal

Thinking = Literal["on", "off", "model"]
"""``model``: as the model's own chat template does when nobody says."""
SWITCH = "enable_thinking"
OPENED, CLOSED = "<think>", "</think>"


def list_template_switches(thinking: Thinking) -> dict[str, bool]:
    """Arguments of a chat template."""
    return {} if thinking == "model" else {SWITCH: thinking == "on"}
