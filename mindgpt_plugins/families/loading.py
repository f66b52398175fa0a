"""Loads tokenizers, processors and generating models of any family."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from mindgpt_patches.cpu import wheels


@lru_cache(maxsize=8)
def load_tokenizer(folder: Path) -> Any:
    """The tokenizer in a local folder; None where there is none."""
    if not (folder / "tokenizer_config.json").is_file():
        return None
    wheels.install_finder()
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def load_processor(model: str) -> Any:
    """The processor of a folder or hub id; the tokenizer alone, where the model has no vision part."""
    # Configurations of the Llama line import torchvision, whose CUDA wheel does not load beside CPU torch.
    wheels.install_finder()
    from transformers import AutoConfig, AutoProcessor, AutoTokenizer

    sees = hasattr(AutoConfig.from_pretrained(model), "vision_config")
    return (AutoProcessor if sees else AutoTokenizer).from_pretrained(model)


def load_generator(model: str, **options: Any) -> Any:
    """A model that writes replies, from a folder or hub id.

    Args:
        model: of any family; with a vision part or without.
        options: of ``from_pretrained``.
    """
    wheels.install_finder()
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

    sees = hasattr(AutoConfig.from_pretrained(model), "vision_config")
    kind: Any = AutoModelForImageTextToText if sees else AutoModelForCausalLM
    return kind.from_pretrained(model, **options)
