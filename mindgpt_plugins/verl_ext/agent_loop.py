"""verl's single-turn agent loop with a seed per reply. Works with every rollout backend that honours ``seed``."""

from __future__ import annotations

from typing import Any

from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop

from mindgpt_plugins.verl_ext.seeds import sample_seed

NAME = "mindgpt_single_turn"
EXPECTED = "mindgpt_expected"
"""Sampling parameter for ``hf_cpu`` only: how many replies the step asks for, so that it can run them as one batch."""


class SeededSingleTurnAgentLoop(SingleTurnAgentLoop):  # type: ignore[misc]
    """Adds ``seed`` to the sampling parameters; everything else is verl's."""

    async def run(self, sampling_params: dict[str, Any], priority: int = 0, **kwargs: Any) -> Any:
        """Run one reply of one prompt (dataset row ``index``, rollout number ``session_id``)."""
        seed = sample_seed(
            int(self.rollout_config.seed), kwargs["index"], int(kwargs["session_id"]), int(kwargs["global_steps"])
        )
        # vLLM takes 64-bit seeds but some backends only 32.
        sampling_params = {**sampling_params, "seed": seed & 0x7FFFFFFF}
        if self.rollout_config.name == "hf_cpu":
            replicas = self.config.trainer.n_gpus_per_node * self.config.trainer.nnodes
            if replicas == 1:
                sampling_params[EXPECTED] = int(self.config.data.train_batch_size) * int(self.rollout_config.n)
        return await super().run(sampling_params, priority=priority, **kwargs)
