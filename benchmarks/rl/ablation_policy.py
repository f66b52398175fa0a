"""A vision-language model that samples replies and scores them, both from one shared pass over picture and prompt.

No Ray, no trainer: what verl does in three processes, small enough for a benchmark of a tiny model. Replies come from
the very sampler of the rollout backend ``hf_cpu``: one random stream per reply.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mindgpt_plugins.generation.hf_engine import Engine, Prompt
from mindgpt_plugins.verl_ext.seeded_choice import SeededChoice


@dataclass(frozen=True)
class Encoded:
    """One prompt with its picture, as the model wants it."""

    ids: Tensor
    """(length,) int64, vision placeholders included."""
    pixels: Tensor
    """(patches, patch size) float32."""
    grid: Tensor
    """(1, 3) int64: frames, rows and columns of patches."""


@dataclass
class _Context:
    """What prompts leave behind for their replies."""

    cache: Any
    logits: Tensor
    """(prompts, vocabulary) of the first reply token."""
    mask: Tensor
    """(prompts, length), 1 where there is a token."""
    position: Tensor
    """(prompts,) of the first reply token."""


class Policy:
    """A Qwen3-VL in float32.

    Args:
        folder: Hugging Face folder with weights and processor.
        max_new_tokens: cap on a reply.
    """

    def __init__(self, folder: str | Path, max_new_tokens: int = 24):
        self.engine = Engine(
            str(folder), device="cpu", max_new_tokens=max_new_tokens, min_pixels=32**2, max_pixels=96**2
        )
        self.model, self.tokenizer = self.engine.model, self.engine.tokenizer
        self.end = int(self.tokenizer.eos_token_id)
        self.banned = torch.tensor(self.engine.banned, dtype=torch.long)
        self.max_new_tokens = max_new_tokens

    def encode(self, question: str, picture: Path, blank: bool = False) -> Encoded:
        """Tokenise one question about one picture, or about a uniform one of its size."""
        inputs = self.engine._encode([Prompt("", question, (picture,), blank=blank)])
        return Encoded(inputs["input_ids"][0], inputs["pixel_values"], inputs["image_grid_thw"])

    def tokens(self, text: str) -> list[int]:
        """A reply's tokens, end mark included."""
        return [*self.tokenizer(text, add_special_tokens=False)["input_ids"], self.end]

    def text(self, tokens: Sequence[int]) -> str:
        """A reply without special tokens."""
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True)).strip()

    @torch.no_grad()
    def sample(self, prompts: Sequence[Encoded], seeds: Sequence[int]) -> tuple[list[list[int]], list[list[float]]]:
        """Replies at temperature 1, ``len(seeds) / len(prompts)`` per prompt.

        Args:
            prompts: the batch.
            seeds: one per reply, all of a prompt's together.

        Returns:
            Tokens of each reply, the end mark included where it was reached, and their log-probabilities.
        """
        context = self._prefill(prompts)
        n = len(seeds) // len(prompts)
        context.cache.batch_repeat_interleave(n)
        logits, mask, position = (
            value.repeat_interleave(n, 0) for value in (context.logits, context.mask, context.position)
        )
        choice = SeededChoice(list(seeds), temperature=1.0, top_k=-1, top_p=1.0, banned=self.banned)
        replies: list[list[int]] = [[] for _ in seeds]
        log_probs: list[list[float]] = [[] for _ in seeds]
        rows = torch.arange(len(seeds))
        for _ in range(self.max_new_tokens):
            token = choice(torch.empty(0), logits).argmax(-1)
            chosen = logits.log_softmax(-1).gather(1, token[:, None]).squeeze(1)
            for row, value, log_prob in zip(rows.tolist(), token.tolist(), chosen.tolist(), strict=True):
                replies[row].append(value)
                log_probs[row].append(log_prob)
            going = (token != self.end).nonzero().squeeze(1)
            if not len(going):
                break
            if len(going) < len(rows):
                context.cache.batch_select_indices(going)
                choice.generators = [choice.generators[i] for i in going.tolist()]
                rows, token, mask, position = rows[going], token[going], mask[going], position[going]
            mask = torch.cat([mask, torch.ones(len(rows), 1, dtype=mask.dtype)], dim=1)
            logits = self._step(token[:, None], mask, position[:, None], context.cache)[:, -1]
            position = position + 1
        return replies, log_probs

    def log_probs(self, prompts: Sequence[Encoded], replies: Sequence[Sequence[int]]) -> Tensor:
        """Log-probability of every reply token, with gradient unless that is off.

        A prompt's replies share one row: each sees the prompt and itself.

        Args:
            prompts: the batch.
            replies: tokens, equally many replies for each prompt, all of a prompt's together.

        Returns:
            (tokens of all replies,) in the order of the replies.
        """
        context = self._prefill(prompts)
        n, width = len(replies) // len(prompts), context.mask.shape[1]
        rows = [replies[i * n : (i + 1) * n] for i in range(len(prompts))]
        longest = max(sum(len(reply) - 1 for reply in row) for row in rows)
        ids = torch.full((len(rows), longest), self.engine.pad)
        owner = torch.full((len(rows), longest), -1)
        positions = torch.zeros(len(rows), longest, dtype=torch.long)
        before: list[int] = []  # where each reply token was predicted, in `logits` below, row after row
        for number, row in enumerate(rows):
            at, first = 0, int(context.position[number])
            for sibling, reply in enumerate(row):
                end = at + len(reply) - 1
                ids[number, at:end] = torch.tensor(reply[:-1], dtype=torch.long)
                owner[number, at:end] = sibling
                positions[number, at:end] = torch.arange(first, first + end - at)
                start = number * (longest + 1)
                before += [start, *range(start + 1 + at, start + 1 + end)]
                at = end
        logits = context.logits[:, None]
        if longest:
            own = (owner[:, :, None] == owner[:, None, :]).tril()
            prompt = context.mask[:, None, :].bool().expand(-1, longest, width)
            seen = torch.cat([prompt, own], dim=2)[:, None]
            logits = torch.cat([logits, self._step(ids, seen, positions, context.cache)], dim=1)
        tokens = torch.tensor([token for reply in replies for token in reply])
        return logits.flatten(0, 1)[before].log_softmax(-1).gather(1, tokens[:, None]).squeeze(1)

    def _prefill(self, prompts: Sequence[Encoded]) -> _Context:
        # Padded on the right: no position sees nothing, and the gap before the reply is masked.
        length = torch.tensor([len(p.ids) for p in prompts])
        ids = torch.full((len(prompts), int(length.max())), self.engine.pad)
        for row, prompt in enumerate(prompts):
            ids[row, : len(prompt.ids)] = prompt.ids
        mask = (torch.arange(ids.shape[1]) < length[:, None]).long()
        kinds = (ids == self.model.config.image_token_id).int()
        grids = torch.cat([p.grid for p in prompts])
        positions, _ = self.model.model.get_rope_index(ids, kinds, image_grid_thw=grids, attention_mask=mask)
        out = self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            pixel_values=torch.cat([p.pixels for p in prompts]),
            image_grid_thw=grids,
            use_cache=True,
        )
        last = out.logits[torch.arange(len(prompts)), length - 1]
        after = positions.masked_fill(mask[None] == 0, -1).amax((0, 2)) + 1
        return _Context(out.past_key_values, last, mask, after)

    def _step(self, tokens: Tensor, mask: Tensor, positions: Tensor, cache: Any) -> Tensor:
        out = self.model(
            input_ids=tokens,
            attention_mask=mask,
            position_ids=positions[None].expand(3, -1, -1),
            past_key_values=cache,
            use_cache=True,
        )
        logits: Tensor = out.logits
        return logits
