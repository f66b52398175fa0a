"""What a processor writes beside the ids of a prompt: of its pictures, and of its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mindgpt_plugins.families.errors import FamilyError
from mindgpt_plugins.families.family import ModelFamily

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

_PLAIN = ("input_ids", "attention_mask")
_TEXTS = ("what?", "Name all that can be seen here, please.")


class PromptFeatures:
    """Makes a model's inputs of pictures and of ids apart, so that a reply's length changes neither.

    A processor writes both in one call, from a text. Where a reply follows the prompt there is no such text, only ids;
    and the pictures of a prompt are worth keeping for all its replies. What depends on the pictures alone and what on
    the tokens is found by calling the processor twice, with two texts and the same picture.

    Args:
        family: of the model; one that sees nothing has no features.

    Raises:
        FamilyError: an output depends on text and picture together, or a token has more than one type; the message
            names the processor and the output.
    """

    def __init__(self, family: ModelFamily) -> None:
        self._family = family
        self.types: dict[str, dict[int, int]] = {}
        """Inputs with a number per token (``token_type_ids``) → numbers of the tokens that have another than 0."""
        if family.sees:
            self._find_types()

    def encode_pictures(self, pictures: Sequence[Image]) -> dict[str, Tensor]:
        """The inputs that depend on the pictures of one prompt; empty where there are none.

        Args:
            pictures: of one prompt, in their order, fitted.
        """
        return self.encode_groups([pictures] if pictures else [])

    def encode_groups(self, groups: Sequence[Sequence[Image]]) -> dict[str, Tensor]:
        """The same of several prompts in one call, joined as the processor joins a batch.

        Args:
            groups: of each prompt that has pictures.
        """
        if not groups:
            return {}
        texts = [self._render(_TEXTS[0], len(group)) for group in groups]
        found = self._family.encode(texts, groups, padding=True, return_tensors="pt")
        return {name: value for name, value in found.items() if name not in (*_PLAIN, *self.types)}

    def mark_tokens(self, ids: Tensor) -> dict[str, Tensor]:
        """The inputs that depend on the ids of prompt and reply, of the same shape as them."""
        import torch

        marks = {}
        for name, numbers in self.types.items():
            marks[name] = torch.zeros_like(ids)
            for token, number in numbers.items():
                marks[name][ids == token] = number
        return marks

    def _render(self, question: str, count: int) -> str:
        parts = [*({"type": "image"} for _ in range(count)), {"type": "text", "text": question}]
        return self._family.render_chat([{"role": "user", "content": parts}])

    def _find_types(self) -> None:
        import torch
        from PIL import Image

        picture = Image.linear_gradient("L").resize((80, 96)).convert("RGB")
        first, second = (
            self._family.encode([self._render(text, 1)], [[picture]], return_tensors="pt") for text in _TEXTS
        )
        ids = first["input_ids"]
        for name in first.keys() - set(_PLAIN):
            value = first[name]
            if value.shape == second[name].shape and torch.equal(value, second[name]):
                continue
            if value.shape != ids.shape:
                raise FamilyError(
                    f"{type(self._family.processor).__name__} writes {name} {tuple(value.shape)} of text and picture "
                    "together, and there is no text for a reply that is being written; this model cannot be asked "
                    "token by token"
                )
            self.types[name] = _map_tokens(name, ids, value)


def _map_tokens(name: str, ids: Tensor, types: Tensor) -> dict[int, int]:
    pairs = set(zip(ids.flatten().tolist(), types.flatten().tolist(), strict=True))
    if len(pairs) != len({token for token, _ in pairs}):
        raise FamilyError(f"{name} differs between places of the same token, so that a reply's cannot be told")
    return {token: number for token, number in pairs if number}
