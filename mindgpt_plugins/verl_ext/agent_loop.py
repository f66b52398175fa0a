"""verl's single-turn agent loop with a seed per reply and one preparation per prompt.

Works with every rollout backend that honours ``seed``. The n replies to a prompt share its images and prompt tokens;
verl's loop prepares them again for each (three processor calls per reply), which on a small model costs more than the
model does.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Any

from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop

from mindgpt_plugins.families import ModelFamily, find_family
from mindgpt_plugins.verl_ext.step.reward_fields import ASKED
from mindgpt_plugins.verl_ext.step.seeds import derive_sample_seed

NAME = "mindgpt_single_turn"
EXPECTED = "mindgpt_expected"
"""Sampling parameter for ``hf_cpu`` only: how many replies the step asks for, so that it can run them as one batch."""


class Shared:
    """A small cache of awaited results: whoever asks first computes, the others wait for it."""

    def __init__(self, size: int = 256):
        self.size = size
        self._tasks: OrderedDict[Any, asyncio.Task[Any]] = OrderedDict()

    async def get(self, key: Any, compute: Callable[[], Awaitable[Any]]) -> Any:
        """Return the result for ``key``. A failure is not kept."""
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.ensure_future(compute())
            while len(self._tasks) > self.size:
                self._tasks.popitem(last=False)
        try:
            return await asyncio.shield(task)
        except Exception:
            self._tasks.pop(key, None)
            raise


class UnexpandedPrompts:
    """A server client that asks with placeholders as the chat template writes them, one per picture.

    vLLM puts a picture's tokens in place of its placeholder. Of a prompt that has them already it would replace the
    first and leave the rest as text; verl takes them out for Qwen-VL only (``qwen2_5_vl_dedup_image_tokens``).

    Args:
        client: verl's.
        short: ids of the prompt before its pictures are put in.
    """

    def __init__(self, client: Any, short: list[int]):
        self._client, self._short = client, short

    async def generate(self, *, prompt_ids: list[int], **request: Any) -> Any:
        """Ask with the short ids."""
        return await self._client.generate(prompt_ids=list(self._short), **request)


class SeededSingleTurnAgentLoop(SingleTurnAgentLoop):  # type: ignore[misc]
    """One reply of one prompt."""

    server_manager: Any
    shared = Shared()  # one instance of this class per reply, one cache per process

    async def run(self, sampling_params: dict[str, Any], priority: int = 0, **kwargs: Any) -> Any:
        """Run; ``index`` is the dataset row, ``session_id`` the reply's number in its group."""
        seed = derive_sample_seed(
            int(self.rollout_config.seed), kwargs["index"], int(kwargs["session_id"]), int(kwargs["global_steps"])
        )
        # vLLM takes 64-bit seeds but some backends only 32.
        sampling_params = {**sampling_params, "seed": seed & 0x7FFFFFFF}
        if self.rollout_config.name == "hf_cpu":
            replicas = self.config.trainer.n_gpus_per_node * self.config.trainer.nnodes
            announced = int(kwargs.get(ASKED, {}).get("step", 0))
            if replicas == 1 and announced:
                sampling_params[EXPECTED] = announced
        self.uid = kwargs["uid"]
        return await super().run(sampling_params, priority=priority, **kwargs)

    @property
    def _expands_itself(self) -> bool:
        """Whether the engine puts pictures' tokens in, and verl does not take them out before."""
        kind = type(getattr(self.processor, "image_processor", None)).__name__
        return self.rollout_config.name == "vllm" and "Qwen2VLImageProcessor" not in kind

    def _shorten(self, messages: list[dict[str, Any]]) -> list[int]:
        assert self._family is not None
        text = self._family.processor.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=False, **self.apply_chat_template_kwargs
        )
        begin = self._family.adds_special_tokens(text)
        return list(self._family.tokenizer(text, add_special_tokens=begin)["input_ids"])

    @cached_property
    def _family(self) -> ModelFamily | None:
        return find_family(self.processor) if self.processor is not None else None

    async def process_multi_modal_info(self, messages: list[dict[str, Any]]) -> dict[str, Any]:
        """Images of the prompt, decoded once for all its replies."""
        compute = super().process_multi_modal_info
        found: dict[str, Any] = await self.shared.get(("media", self.uid), lambda: compute(messages))
        return dict(found)

    async def ct_build_initial_tokens(self, messages: list[dict[str, Any]], **kwargs: Any) -> list[int]:
        """Prompt tokens, rendered once for all replies."""
        compute = super().ct_build_initial_tokens
        features: dict[str, Any] = {}
        if self._family is not None:  # some templates drop a text that is no part
            messages = [turn | {"content": self._family.lay_out_content(turn["content"])} for turn in messages]

        async def render() -> tuple[list[int], dict[str, Any]]:
            tokens = await compute(messages, **{**kwargs, "mm_inputs_out": features})
            return tokens, features

        if kwargs.get("images") and self._expands_itself:
            short = await self.shared.get(("short", self.uid), lambda: asyncio.to_thread(self._shorten, messages))
            self.server_manager = UnexpandedPrompts(self.server_manager, short)
        tokens, features = await self.shared.get(("tokens", self.uid), render)
        if kwargs.get("mm_inputs_out") is not None:
            kwargs["mm_inputs_out"].update(features)
        return list(tokens)
