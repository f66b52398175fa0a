"""Batched Hugging Face generation for evaluation and self-training: greedy replies, or n samples per prompt.

Sampling draws one uniform number per (seed, prompt key, sample, position) and inverts the model's own distribution
with it. A prompt's samples therefore do not depend on which prompts share its batch, on their order or on a restart
(up to the rounding of padded matrix products). Source: ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mindgpt_plugins.families import (
    FamilyError,
    ModelFamily,
    PixelLimits,
    Thinking,
    find_family,
    load_generator,
    load_processor,
)

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

BLANK = (127, 127, 127)
"""Colour of a blanked image: mid grey, near zero after the processors' usual normalisation."""


Result = TypeVar("Result")

SHARED_PREFILL = ("qwen3_vl", "qwen3_vl_moe")
"""Models whose samples share one pass over image and prompt; others repeat it for every sample."""


class EngineError(ValueError):
    """A prompt or model cannot be used; the message names it and the fix."""


@dataclass(frozen=True)
class Prompt:
    """One question to answer.

    Attributes:
        key: identifies the prompt within one run of the engine's caller; also seeds its samples.
        question: text without ``<image>`` tags; the images go before it.
        images: absolute paths.
        prefix: start of the reply that the model has to continue; the returned text includes it.
        blank: replace every image by a uniform one of the same size.
    """

    key: str
    question: str
    images: tuple[Path, ...] = ()
    prefix: str = ""
    blank: bool = False


@dataclass(frozen=True)
class Reply:
    """One reply: its text without special tokens, its new tokens (end mark included), whether it ended by itself."""

    text: str
    tokens: int
    finished: bool


class Engine:
    """A model and its processor, loaded once.

    Args:
        model: Hugging Face folder (or hub id) with weights, processor and chat template.
        max_new_tokens: cap on a reply.
        min_pixels: smallest image area in pixels; smaller images are scaled up before the processor sees them.
        max_pixels: largest image area in pixels; larger images are scaled down before the processor sees them.
        thinking: how the chat template is switched.
        seed: of all samples.
        device: ``cpu``, ``cuda``, …; by default CUDA when there is one. CPU runs in float32, others in bfloat16.

    Raises:
        EngineError: there is no chat template, or no end token.
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
    ) -> None:
        import torch

        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        dtype = torch.float32 if self.device == "cpu" else torch.bfloat16
        self.limits = PixelLimits(min_pixels, max_pixels)
        self.max_new_tokens, self.seed = max_new_tokens, seed
        try:
            self.family = find_family(load_processor(model), thinking)
            self.model: Any = load_generator(model, attn_implementation="sdpa", dtype=dtype)
            self.eos = self.family.list_stop_ids(self.model.generation_config)
        except FamilyError as error:
            raise EngineError(f"{model}: {error}") from None
        self.tokenizer = self.family.tokenizer
        self.model.to(self.device).eval()
        pad = self.tokenizer.pad_token_id
        self.pad = pad if pad is not None else min(self.eos)
        self.banned = self.family.list_banned_ids(self.model.config, self.eos)
        self.share_prefill = self.model.config.model_type in SHARED_PREFILL

    def generate(self, prompts: Sequence[Prompt], *, n: int = 0, temperature: float = 1.0) -> list[list[Reply]]:
        """Answer a batch.

        Args:
            prompts: the batch; padded on the left to its longest prompt.
            n: 0 for one greedy reply per prompt, else the number of samples.
            temperature: of the samples; the distribution is otherwise untruncated.

        Returns:
            Per prompt, in order, one greedy reply or ``n`` samples.
        """
        if n and temperature <= 0:
            raise EngineError(f"temperature {temperature} must be > 0 for samples; use n=0 for greedy replies")
        return self._run_apart(prompts, lambda some: self._generate(some, n, temperature))

    def _generate(self, prompts: Sequence[Prompt], n: int, temperature: float) -> list[list[Reply]]:
        import torch
        from transformers import GenerationConfig

        inputs = self._encode(prompts)
        config = GenerationConfig(
            max_new_tokens=self.max_new_tokens,
            do_sample=bool(n),
            num_return_sequences=max(n, 1),
            top_k=0 if n else None,
            top_p=1.0 if n else None,
            temperature=1.0 if n else None,
            eos_token_id=self.eos,
            pad_token_id=self.pad,
            suppress_tokens=self.banned or None,
        )
        processors = []
        if n:
            draws = torch.stack([_draws(self.seed, p.key, n, self.max_new_tokens) for p in prompts])
            processors = [_InverseCdf(draws.flatten(0, 1).to(self.device), temperature, self.banned)]
        start = inputs["input_ids"].shape[1]
        with torch.inference_mode():
            if n > 1 and self.share_prefill and start > 1:
                inputs, config.num_return_sequences = self._prefill(inputs, n), 1
            out = self.model.generate(**inputs, generation_config=config, logits_processor=processors)
        replies = [self._reply(ids) for ids in out[:, start:].tolist()]
        per = max(n, 1)
        grouped = [replies[i * per : (i + 1) * per] for i in range(len(prompts))]
        return [
            [replace(r, text=p.prefix + r.text) if p.prefix else r for r in group]
            for p, group in zip(prompts, grouped, strict=True)
        ]

    def batches(self, prompts: Sequence[Prompt], size: int) -> list[list[Prompt]]:
        """Split prompts into batches of similar length (tokens of text, then image area), longest last.

        Depends only on the prompts, so a restarted run meets the same batches.
        """
        import PIL.Image

        areas: dict[Path, int] = {}
        for path in {path for p in prompts for path in p.images}:
            with PIL.Image.open(path) as image:
                areas[path] = image.width * image.height
        lengths = self.tokenizer([p.question + p.prefix for p in prompts], add_special_tokens=False)["input_ids"]
        order = sorted(
            range(len(prompts)), key=lambda i: (sum(areas[a] for a in prompts[i].images), len(lengths[i]), i)
        )
        return [[prompts[i] for i in order[at : at + size]] for at in range(0, len(order), size)]

    def reply_logits(self, prompts: Sequence[Prompt]) -> list[torch.Tensor]:
        """Logits of every position of given replies.

        Args:
            prompts: a batch; the ``prefix`` of each is its whole reply.

        Returns:
            Per prompt (tokens + 1, vocabulary) float32: before each token of the reply, and after the last.
        """
        return self._run_apart(prompts, self._reply_logits)

    def _reply_logits(self, prompts: Sequence[Prompt]) -> list[torch.Tensor]:
        import torch

        starts = self._encode([replace(p, prefix="") for p in prompts])["attention_mask"].sum(1)
        inputs = self._encode(prompts)
        lengths = (inputs["attention_mask"].sum(1) - starts + 1).tolist()
        with torch.inference_mode():
            logits = self.model(**inputs, use_cache=False, logits_to_keep=max(lengths)).logits
        return [own[-length:].float() for own, length in zip(logits, lengths, strict=True)]

    def _run_apart(self, prompts: Sequence[Prompt], run: Callable[[Sequence[Prompt]], list[Result]]) -> list[Result]:
        """Run a batch; in two halves, with pictures and without, where the processor cannot take both at once."""
        seeing = [bool(self._count_pictures(prompt)) for prompt in prompts]
        if self.family.by_area or all(seeing) or not any(seeing):
            return run(prompts)
        halves = {
            kind: iter(run([prompt for prompt, sees in zip(prompts, seeing, strict=True) if sees == kind]))
            for kind in (True, False)
        }
        return [next(halves[kind]) for kind in seeing]

    def _count_pictures(self, prompt: Prompt) -> int:
        return len(prompt.images)

    def _lay_out(self, prompt: Prompt) -> tuple[str, list[Image]]:
        """The text of a prompt up to where the reply goes on, and its pictures as they are."""
        text = render_prompt(self.family, prompt)
        return text, [open_image(path, prompt.blank) for path in prompt.images]

    def _encode(self, prompts: Sequence[Prompt]) -> dict[str, Any]:
        texts, pictures = [], []
        for prompt in prompts:
            try:
                text, own = self._lay_out(prompt)
                pictures.append([self.family.fit_picture(one, self.limits) for one in own])
            except FamilyError as error:
                raise EngineError(f"prompt {prompt.key}: {error}") from None
            texts.append(text)
        inputs = self.family.encode(texts, pictures, padding=True, padding_side="left", return_tensors="pt")
        # Vision towers of some families do not cast what they get.
        return {
            key: value.to(self.device, self.model.dtype) if value.is_floating_point() else value.to(self.device)
            for key, value in inputs.items()
        }

    def _prefill(self, inputs: dict[str, Any], n: int) -> dict[str, Any]:
        """Run images and prompts once and return the inputs of ``n`` continuations each.

        ``generate`` alone would repeat pictures and prompts for every sample. It goes on from a cache of all but the
        last prompt token.
        """
        # The very positions that `generate` would start from: (4, prompts, length), text row first. Those after the
        # prompt follow by counting up.
        positions = self.model._prepare_position_ids_for_generation(inputs["input_ids"], dict(inputs))
        cache = self.model(**inputs, position_ids=positions, use_cache=True, logits_to_keep=1).past_key_values
        cache.crop(inputs["input_ids"].shape[1] - 1)
        cache.batch_repeat_interleave(n)
        return {
            "input_ids": inputs["input_ids"].repeat_interleave(n, 0),
            "attention_mask": inputs["attention_mask"].repeat_interleave(n, 0),
            "position_ids": positions.repeat_interleave(n, 1),
            "past_key_values": cache,
        }

    def _reply(self, ids: list[int]) -> Reply:
        for at, token in enumerate(ids):
            if token in self.eos:
                return Reply(self.tokenizer.decode(ids[:at], skip_special_tokens=True).strip(), at + 1, True)
        return Reply(self.tokenizer.decode(ids, skip_special_tokens=True).strip(), len(ids), False)


class _InverseCdf:
    """Logits processor that leaves only the token chosen by a prescribed uniform number."""

    def __init__(self, draws: torch.Tensor, temperature: float, banned: list[int]) -> None:
        self.draws, self.temperature, self.banned, self.step = draws, temperature, banned, 0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        import torch

        scores = scores.float() / self.temperature
        if self.banned:  # our processor may run before the one for suppress_tokens
            scores[:, self.banned] = -torch.inf
        cdf = torch.softmax(scores, -1, dtype=torch.float64).cumsum(-1)
        # Scaled by the last entry: rounding must never choose past the end; right=True skips zero-probability ids.
        token = torch.searchsorted(cdf, self.draws[:, self.step, None] * cdf[:, -1:], right=True)
        self.step += 1
        return torch.full_like(scores, -torch.inf).scatter_(1, token.clamp_(max=scores.shape[1] - 1), 0.0)


def _draws(seed: int, key: str, n: int, length: int) -> torch.Tensor:
    """Uniform numbers in [0, 1) of shape (n, length), fixed by seed and key."""
    import numpy as np
    import torch

    digest = hashlib.sha256(f"{seed}\n{key}".encode()).digest()
    generator = np.random.Generator(np.random.Philox(int.from_bytes(digest[:16], "big")))
    # Sample i has its own stretch of the stream, so it stays the same when more samples are asked for.
    return torch.from_numpy(generator.random((n, length)))


def render_prompt(family: ModelFamily, prompt: Prompt) -> str:
    """The prompt through the model's own chat template, one placeholder per image, up to where the reply goes on."""
    content: list[dict[str, Any]] = [{"type": "image"}] * len(prompt.images)
    content.append({"type": "text", "text": prompt.question})
    return family.render_chat([{"role": "user", "content": content}]) + prompt.prefix


def open_image(path: Path, blank: bool) -> Image:
    """An image in its own mode, or a uniform grey one of its size.

    Raises:
        EngineError: it cannot be read.
    """
    import PIL.Image

    try:
        with PIL.Image.open(path) as image:
            return PIL.Image.new("RGB", image.size, BLANK) if blank else image.copy()
    except OSError as error:
        raise EngineError(f"image {path} cannot be read ({error}); restore it or drop its row") from error
