"""Gives verl 0.9.1 the processors of model families that it does not know.

Why: ``hf_processor`` takes Qwen-VL's, GLM-V's, Mllama's and Gemma 4's by the name of their class and returns None for
any other (InternVL, Gemma 3, LLaVA, Pixtral, LFM2-VL, Idefics3), with a warning; the first batch with a picture then
ends in ``processor is needed to process multimodal data``. Those families count positions in one dimension, as verl
does where a processor has no ``get_rope_index``. A model that has its own (PaddleOCR-VL, ERNIE) stays without a
processor.

Asked for with ``MINDGPT_PATCHES=verl_processors``, which ``mindgpt run`` sets for RL stages.
"""

from __future__ import annotations

import warnings
from typing import Any

from mindgpt_patches.guard import Place, replace_places

KNOWN = {"7777da490d5e": "verl 0.9.1"}


def places() -> list[Place]:
    """What is replaced: the function, and the names that its packages give it."""
    import verl.utils
    import verl.utils.tokenizer.tokenizer

    owners = (verl.utils.tokenizer.tokenizer, verl.utils.tokenizer, verl.utils)
    return [Place(owner, "hf_processor", KNOWN, _taking_others) for owner in owners]


def apply() -> str:
    """Apply once.

    Returns:
        ``"applied"``.

    Raises:
        PatchRefused: ``hf_processor`` is not the one this was written for; nothing is changed.
    """
    replace_places(places())
    return "applied"


def _taking_others(original: Any) -> Any:
    def hf_processor(name_or_path: Any, **kwargs: Any) -> Any:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Failed to create processor: Unsupported processor type")
            found = original(name_or_path, **kwargs)
        return found if found is not None else _load_other(name_or_path, kwargs)

    return hf_processor


def _load_other(name_or_path: Any, kwargs: dict[str, Any]) -> Any:
    """The processor of a vision-language model whose positions have one dimension; None for any other model."""
    from transformers import AutoConfig, AutoModel, AutoProcessor

    try:
        config = AutoConfig.from_pretrained(name_or_path, **kwargs)
        if not hasattr(config, "vision_config"):
            return None
        processor = AutoProcessor.from_pretrained(name_or_path, **kwargs)
    except (OSError, ValueError, ImportError):  # verl has warned of it
        return None
    if getattr(processor, "image_processor", None) is None:
        return None
    if hasattr(AutoModel._model_mapping.get(type(config), None), "get_rope_index"):
        warnings.warn(
            f"{config.model_type} has positions of its own that verl cannot compute: no processor", stacklevel=2
        )
        return None
    processor.config = config  # as verl does
    return processor
