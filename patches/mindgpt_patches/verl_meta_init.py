"""Lets verl 0.9.1 build the ranks of a model with untied embeddings (8B, 30B-A3B), on any device.

Why: verl builds every rank but the first without weights, in accelerate's ``init_on_device``, which passes a
parameter's attributes to its class. transformers 5 marks loaded parameters with ``_is_hf_initialized``, so accelerate
before 1.13 (LLaMA-Factory 0.9.5 allows at most 1.11) raises ``TypeError: Parameter.__new__() got an unexpected keyword
argument '_is_hf_initialized'``. Here accelerate does not see the mark; the parameter on the meta device keeps it.

verl-project/verl#4522, huggingface/transformers#44291.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mindgpt_patches import PatchRefused
from mindgpt_patches.guard import Place, replace_places

KNOWN = {"6d30d9d79f1b": "accelerate 1.11.0"}
_MARK = "_is_hf_initialized"


def places() -> list[Place]:
    """What is replaced; ``init_empty_weights``, which verl imports in several places, looks it up there."""
    import accelerate.big_modeling as module

    return [Place(module, "init_on_device", KNOWN, _hiding_the_mark)]


def apply() -> str:
    """Apply once.

    Returns:
        ``"applied"``, or ``"not needed: …"`` with an accelerate that registers marked parameters by itself.

    Raises:
        PatchRefused: ``init_on_device`` is not the one this was written for and has the fault; nothing is changed.
    """
    try:
        replace_places(places())
    except PatchRefused:
        if not _takes_marked_parameters():
            raise
        return "not needed: this accelerate registers parameters that transformers has marked"
    return "applied"


def _takes_marked_parameters() -> bool:
    import accelerate.big_modeling as module
    import torch

    marked = torch.nn.Parameter(torch.zeros(1))
    setattr(marked, _MARK, True)
    try:
        with module.init_on_device(torch.device("meta")):
            torch.nn.Module().register_parameter("marked", marked)
    except TypeError:
        return False
    return True


def _hiding_the_mark(original: Any) -> Any:
    from torch import nn

    @contextmanager
    def init_on_device(*args: Any, **kwargs: Any) -> Iterator[None]:
        with original(*args, **kwargs):
            register = nn.Module.register_parameter

            def register_parameter(module: nn.Module, name: str, param: nn.Parameter | None) -> None:
                if param is None or _MARK not in vars(param):
                    return register(module, name, param)
                mark = vars(param).pop(_MARK)
                try:
                    register(module, name, param)
                    setattr(module._parameters[name], _MARK, mark)
                finally:
                    setattr(param, _MARK, mark)

            nn.Module.register_parameter = register_parameter  # type: ignore[assignment, method-assign]
            try:
                yield
            finally:
                nn.Module.register_parameter = register  # type: ignore[method-assign]

    return init_on_device
