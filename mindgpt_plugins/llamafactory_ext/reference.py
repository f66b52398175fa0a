"""The frozen reference of the KL anchor: which model it is, and whether it can be compared with the policy at all."""

from __future__ import annotations

import copy
from typing import Any

from mindgpt_plugins.curriculum.base import CurriculumError
from mindgpt_plugins.llamafactory_ext.guest import TrainingRun


def make_reference_model(run: TrainingRun, model: Any, tokenizer: Any, finetuning_args: Any) -> Any:
    """A frozen reference for the KL anchor, or ``None`` when it is LoRA's start, which switching the adapter off gives.

    Args:
        run: settings and the host's arguments.
        model: the policy.
        tokenizer: the policy's.
        finetuning_args: the host's.

    Raises:
        CurriculumError: the reference is of another architecture or has another vocabulary.
    """
    from llamafactory.train.trainer_utils import create_ref_model

    assert run.section.kl is not None
    named, start = run.section.kl.reference, run.arguments["model_args"].model_name_or_path
    if finetuning_args.finetuning_type == "lora" and named in (None, start):
        return None
    arguments = copy.copy(finetuning_args)
    arguments.ref_model = named or start
    if named is not None:
        _comparable(named, model, tokenizer)
    return create_ref_model(run.arguments["model_args"], arguments)


def _comparable(name: str, model: Any, tokenizer: Any) -> None:
    """Look at configuration and tokenizer before gigabytes of weights are loaded."""
    from transformers import AutoConfig, AutoTokenizer

    try:
        config = AutoConfig.from_pretrained(name)
        vocabulary = AutoTokenizer.from_pretrained(name).get_vocab()
    except (OSError, ValueError, KeyError) as error:
        raise CurriculumError(f"kl.reference {name} cannot be loaded: {str(error).splitlines()[0]}") from error
    mine, theirs = ((c.model_type, c.get_text_config().vocab_size) for c in (model.config, config))
    if mine != theirs:
        raise CurriculumError(
            f"kl.reference {name} is {theirs[0]} with {theirs[1]} tokens, the policy {mine[0]} with {mine[1]}; "
            "their distributions cannot be compared"
        )
    if vocabulary != tokenizer.get_vocab():
        raise CurriculumError(
            f"kl.reference {name} and the policy have different tokenizers; their distributions are over other tokens"
        )
