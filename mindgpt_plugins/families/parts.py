"""The parts of a loaded model: which parameters are the vision tower's, the projector's, the language model's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_MERGER = "merger"
"""Name of the projector where it lies inside the vision tower (Qwen-VL, GLM-V), as LLaMA-Factory cuts such models."""


@dataclass(frozen=True)
class ModelParts:
    """Parameters by name, as ``model.named_parameters()`` has them.

    Attributes:
        tower: of what encodes pictures.
        projector: of what brings its output to the language model, separators between tiles included.
        language: of the language model, its output head included.
    """

    tower: dict[str, torch.nn.Parameter]
    projector: dict[str, torch.nn.Parameter]
    language: dict[str, torch.nn.Parameter]


def find_model_parts(model: Any) -> ModelParts:
    """Cut a model by the configurations of its submodules, whatever they are called.

    A tower is a submodule with the model's ``vision_config`` (or ``audio_config``), the language model one with its
    text configuration; what belongs to neither nor to the output head is the projector.

    Args:
        model: of transformers, or an adapter around one. A text model is all language.
    """
    from transformers import PreTrainedModel

    wanted = [getattr(model.config, f"{kind}_config", None) for kind in ("vision", "audio")]
    kinds = tuple(type(config) for config in wanted if config is not None)
    text = type(model.config.get_text_config())
    modules = [(f"{name}.", module) for name, module in model.named_modules() if isinstance(module, PreTrainedModel)]
    towers = tuple(name for name, module in modules if isinstance(module.config, kinds))
    language = tuple(name for name, module in modules if type(module.config) is text)
    head = model.get_output_embeddings()
    heads = {id(one) for one in head.parameters()} if head is not None else set()
    tower: dict[str, Any] = {}
    projector: dict[str, Any] = {}
    spoken: dict[str, Any] = {}
    for name, parameter in model.named_parameters():
        if name.startswith(towers):
            inside = next(name.removeprefix(one) for one in towers if name.startswith(one))
            (projector if inside.split(".")[0] == _MERGER else tower)[name] = parameter
        elif not kinds or name.startswith(language) or id(parameter) in heads:
            spoken[name] = parameter
        else:
            projector[name] = parameter
    return ModelParts(tower, projector, spoken)
