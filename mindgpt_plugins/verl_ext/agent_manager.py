"""verl's agent-loop manager with workers that process an image once for all replies to its prompt.

verl runs the whole multimodal processor twice per reply to get ``pixel_values`` and the grid, which depend on the
images only. Chosen by the trainer through ``rollout.agent.agent_loop_manager_class``.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import ray
from verl.trainer.ppo.v1.agent_loop_tq import AgentLoopManagerTQ, AgentLoopWorkerTQ

CLASS = f"{__name__}.SharedInputsManager"
# verl's worker is already a Ray actor class; this is the class inside.
_Worker: Any = AgentLoopWorkerTQ.__ray_metadata__.modified_class


class SharedInputsWorker(_Worker):  # type: ignore[misc]
    """Keeps the multimodal inputs of recent image lists."""

    def _compute_multi_modal_inputs(self, output: Any, input_ids: Any) -> dict[str, Any]:
        media = output.multi_modal_data or {}
        if set(media) - {"images"} or not media.get("images"):
            found: dict[str, Any] = super()._compute_multi_modal_inputs(output, input_ids)
            return found
        cache: OrderedDict[Any, dict[str, Any]] = self.__dict__.setdefault("_mindgpt_inputs", OrderedDict())
        key = tuple((image.mode, image.size, image.tobytes()) for image in media["images"])
        if key not in cache:
            cache[key] = super()._compute_multi_modal_inputs(output, input_ids)
            while len(cache) > 64:
                cache.popitem(last=False)
        cache.move_to_end(key)
        return dict(cache[key])  # verl pops keys from it


class SharedInputsManager(AgentLoopManagerTQ):  # type: ignore[misc]
    """The same manager with the workers above."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.agent_loop_workers_class = ray.remote(SharedInputsWorker)
