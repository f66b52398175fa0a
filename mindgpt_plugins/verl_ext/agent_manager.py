"""verl's agent-loop manager with workers that process the pictures of a prompt once for all replies to it.

verl decodes prompt and reply, drops what is special, and runs the whole processor on that text, twice per reply, to
get the pictures' tensors: slow, and for most families an error, since the text has lost its placeholders. The tensors
depend on the pictures only; what depends on the ids (token types) is made of the ids. Chosen by the trainer through
``rollout.agent.agent_loop_manager_class``.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import ray
from verl.trainer.ppo.v1.agent_loop_tq import AgentLoopManagerTQ, AgentLoopWorkerTQ

from mindgpt_plugins.families import PromptFeatures, find_family

CLASS = f"{__name__}.SharedInputsManager"
# verl's worker is already a Ray actor class; this is the class inside.
_Worker: Any = AgentLoopWorkerTQ.__ray_metadata__.modified_class
_KEPT = 64
"""Picture lists whose tensors are kept."""


class SharedInputsWorker(_Worker):  # type: ignore[misc]
    """Keeps the tensors of recent picture lists, and nothing that depends on a text.

    Raises:
        FamilyError: the processor cannot be asked for pictures and ids apart.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.take_features()

    def take_features(self) -> None:
        """Ask the processor what it writes."""
        self._features = PromptFeatures(find_family(self.processor)) if self.processor is not None else None
        self._kept: OrderedDict[Any, dict[str, Any]] = OrderedDict()

    def _compute_multi_modal_inputs(self, output: Any, input_ids: Any) -> dict[str, Any]:
        media = output.multi_modal_data or {}
        if self._features is None or any(media.get(kind) for kind in set(media) - {"images"}):
            found: dict[str, Any] = super()._compute_multi_modal_inputs(output, input_ids)
            return found
        # verl calls with ids of one dimension or two, and pops keys from what it gets.
        ids = input_ids.reshape(1, -1)
        return {**self._encode_pictures(media.get("images") or []), **self._features.mark_tokens(ids)}

    def _encode_pictures(self, images: list[Any]) -> dict[str, Any]:
        assert self._features is not None
        key = tuple((image.mode, image.size, image.tobytes()) for image in images)
        if key not in self._kept:
            self._kept[key] = encode_host_pictures(self._features, images)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


def encode_host_pictures(features: PromptFeatures, images: list[Any]) -> dict[str, Any]:
    """The pictures' tensors with what verl adds to them: the patches per frame of Qwen-VL's and GLM-V's grids."""
    import torch

    found = dict(features.encode_pictures(images))
    grid = found.get("image_grid_thw")
    if grid is not None:
        found["images_seqlens"] = torch.repeat_interleave(grid[:, 1] * grid[:, 2], grid[:, 0])
    return found


class SharedInputsManager(AgentLoopManagerTQ):  # type: ignore[misc]
    """The same manager with the workers above."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.agent_loop_workers_class = ray.remote(SharedInputsWorker)
