"""How many tokens the pictures of a row take, for every family, by the model's own processor."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from mindgpt_plugins.families.family import ModelFamily, find_family
from mindgpt_plugins.families.loading import load_processor
from mindgpt_plugins.families.pictures import PixelLimits, compute_fitted_size
from mindgpt_plugins.families.settings import read_area_rule


class PictureCounter:
    """Counts what a processor makes of pictures, by their sizes alone.

    Where the rule is Qwen-VL's it is computed, microseconds a picture. Elsewhere the processor itself is called with
    blank pictures once per distinct size, tens of milliseconds: tiles, row marks and fixed numbers of tokens are then
    whatever it does.

    Args:
        folder: of the model, with its processor.
        limits: of the recipe.
    """

    def __init__(self, folder: Path, limits: PixelLimits) -> None:
        self._folder, self._limits = folder, limits
        rule = read_area_rule(folder)
        self._rule = rule if rule is not None and rule.smart_resize else None
        self._by_area = rule is not None
        self._seen: dict[tuple[tuple[int, int], ...], int] = {}

    def count_added(self, sizes: Sequence[tuple[int, int]]) -> int:
        """Tokens that the processor adds to a rendered text for the pictures of one row.

        Args:
            sizes: width and height in pixels of each picture, in order. They count together, since some processors
                (LLaVA-OneVision) cut pictures into tiles only where a prompt has a single one.

        Raises:
            FamilyError: a picture has no pixels left after shrinking, or the model no chat template.
        """
        if self._rule is not None:
            # Its one placeholder stands in the text.
            return sum(self._rule.count_tokens(*size, self._limits) - 1 for size in sizes)
        fitted = self._fit(sizes)
        if fitted not in self._seen:
            parts = [*({"type": "image"} for _ in sizes), {"type": "text", "text": "what?"}]
            text = self._family.render_chat([{"role": "user", "content": parts}])
            begin = self._family.adds_special_tokens(text)
            plain = self._family.tokenizer(text, add_special_tokens=begin)["input_ids"]
            self._seen[fitted] = self._count_ids(text, fitted) - len(plain)
        return self._seen[fitted]

    def count_row(self, text: str, sizes: Sequence[tuple[int, int]]) -> int | None:
        """Tokens of one whole row, or None where :meth:`count_added` is exact.

        Some processors write line breaks around a picture (Gemma 3), which join with those of the text: a row's length
        may then be a token or two from that of its text and what is added.

        Args:
            text: rendered, with a placeholder per picture.
            sizes: of its pictures, as :meth:`count_added` has them.
        """
        return None if self._rule is not None or not sizes else self._count_ids(text, self._fit(sizes))

    @cached_property
    def _family(self) -> ModelFamily:
        return find_family(load_processor(str(self._folder)))

    def _fit(self, sizes: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
        return tuple(compute_fitted_size(*size, self._limits, by_area=self._by_area) for size in sizes)

    def _count_ids(self, text: str, fitted: Sequence[tuple[int, int]]) -> int:
        from PIL import Image

        return len(self._family.encode([text], [[Image.new("RGB", size) for size in fitted]])["input_ids"][0])
