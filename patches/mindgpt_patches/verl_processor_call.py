"""Has verl 0.9.1 call processors as supervised training does: one begin token, and a prompt's pictures as one prompt's.

Why: verl renders a prompt with the chat template, which writes the begin token, and hands the text to the processor,
whose tokenizer adds it again: Gemma's ``<bos><bos>``, Mistral's ``<s><s>``. The rule here is that of transformers'
``apply_chat_template``: nothing is added to a text that begins with it. And verl hands pictures over as one flat list,
which only Qwen-VL's and GLM-V's processors mean so; LLaVA-OneVision takes two pictures for two prompts and tiles both.

Asked for with ``MINDGPT_PATCHES=verl_processor_call``, which ``mindgpt run`` sets for RL stages.
"""

from __future__ import annotations

import sys
from typing import Any

from mindgpt_patches.guard import Place, replace_places

KNOWN = {"cc2962718537": "verl 0.9.1"}
_NAME = "build_multimodal_processor_inputs"
_HOLDERS = (
    "verl.utils.tokenizer.continuous_token",
    "verl.utils.dataset.rl_dataset",
    "verl.experimental.agent_loop.agent_loop",
)
"""Modules that take the function's name over when they are imported; patched themselves where that was before."""


def places() -> list[Place]:
    """What is replaced: the function, and the names that its packages and its callers give it."""
    import verl.utils
    import verl.utils.tokenizer.tokenizer

    owners = [verl.utils.tokenizer.tokenizer, verl.utils.tokenizer, verl.utils]
    owners += [sys.modules[name] for name in _HOLDERS if hasattr(sys.modules.get(name), _NAME)]
    return [Place(owner, _NAME, KNOWN, _calling_as_trained) for owner in owners]


def apply() -> str:
    """Apply once.

    Returns:
        ``"applied"``.

    Raises:
        PatchRefused: the function is not the one this was written for; nothing is changed.
    """
    replace_places(places())
    return "applied"


def _calling_as_trained(original: Any) -> Any:
    def build_multimodal_processor_inputs(
        processor: Any, *, text: Any, images: Any = None, mm_processor_kwargs: Any = None, **kwargs: Any
    ) -> Any:
        begin = getattr(getattr(processor, "tokenizer", None), "bos_token", None)
        texts = [text] if isinstance(text, str) else text
        if begin and all(one.startswith(begin) for one in texts):
            mm_processor_kwargs = {"add_special_tokens": False, **(mm_processor_kwargs or {})}
        flat = hasattr(getattr(processor, "image_processor", None), "merge_size")
        if images and len(texts) == 1 and not flat and not isinstance(images[0], list):
            images = [list(images)]
        return original(processor, text=text, images=images, mm_processor_kwargs=mm_processor_kwargs, **kwargs)

    return build_multimodal_processor_inputs
