"""Counts rows in a model's tokens, finds the longest, and tokens in texts that only a processor may write."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.files import read_json
from mindgpt_plugins.inspection.faults import Fault
from mindgpt_plugins.sizing.pictures import count_vision_tokens, read_picture_limits
from mindgpt_plugins.sizing.samples import Picture, Sample, open_picture

_BATCH = 256
"""Rows that are tokenised at once: the tokenizer works on them in parallel."""
_MEDIA_IDS = re.compile(r"(?:image|video|audio|vision_start|vision_end|vision).*_token_(?:id|index)")


class UncountedRow(ValueError):
    """The model's chat template does not take a row, or there is none; the message says why."""


class RowMeter:
    """Measures rows one after the other.

    Args:
        model: folder with a tokenizer and a processor.
        max_pixels: the recipe's limit of a picture.
        with_response: whether the supervised reply counts.

    Attributes:
        tokens: of the longest row so far, pictures included.
        place: where it is.
    """

    def __init__(self, model: str, max_pixels: int, *, with_response: bool) -> None:
        self.tokens, self.place = 0, ""
        self._with_response = with_response
        self._tokenizer = load_tokenizer(model)
        self._vision = _make_vision_counter(model, max_pixels)
        self._media, self._special = find_reserved_tokens(model)
        self._waiting: list[tuple[str, str, int]] = []

    def find_token_faults(self, sample: Sample) -> Iterator[Fault]:
        """Tokens in the row's own text that the tokenizer would not read as text."""
        for _, text in sample.messages:
            for kind, pattern in (("special_token", self._media), ("control_token", self._special)):
                if pattern is not None and (match := pattern.search(text)) is not None:
                    yield Fault(kind, sample.place, match.group())
                    return

    def add(self, sample: Sample) -> None:
        """Measure a row; call :meth:`finish` after the last.

        Raises:
            UncountedRow: its text cannot be laid out.
            OSError: one of its pictures cannot be read; also ``ValueError`` and ``SyntaxError``, as Pillow raises.
        """
        messages = sample.messages
        if not self._with_response and messages and messages[-1][0] == "assistant":
            messages = messages[:-1]
        chat = [{"role": role, "content": text.replace("<image>", "")} for role, text in messages]
        try:
            text = self._tokenizer.apply_chat_template(
                chat, tokenize=False, add_generation_prompt=not self._with_response
            )
        except Exception as error:  # noqa: BLE001 - a template is a program, and raises what it likes
            raise UncountedRow(" ".join(str(error).split())[:200] or type(error).__name__) from None
        vision = sum(self._vision(image) + 2 for image in sample.images)  # 2: vision start and end
        self._waiting.append((sample.place, text, vision))
        if len(self._waiting) >= _BATCH:
            self.finish()

    def finish(self) -> None:
        """Tokenise what waits."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        found = self._tokenizer([text for _, text, _ in waiting], add_special_tokens=False)["input_ids"]
        for (place, _, vision), ids in zip(waiting, found, strict=True):
            if len(ids) + vision > self.tokens:
                self.tokens, self.place = len(ids) + vision, place


def has_tokenizer(model: str) -> bool:
    """Whether a model's tokenizer is in a local folder."""
    return (Path(model) / "tokenizer_config.json").is_file()


@lru_cache(maxsize=4)
def load_tokenizer(model: str) -> Any:
    """The tokenizer in a local folder."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model)


@lru_cache(maxsize=4)
def find_reserved_tokens(model: str) -> tuple[re.Pattern[str] | None, re.Pattern[str] | None]:
    """Patterns of a model's tokens for media, as its ``config.json`` names them, and of its other special tokens."""
    tokenizer = load_tokenizer(model)
    path = Path(model) / "config.json"
    config = read_json(path) if path.is_file() else {}
    ids = {value for key, value in config.items() if _MEDIA_IDS.fullmatch(key) and isinstance(value, int)}
    media = {token for token in tokenizer.convert_ids_to_tokens(sorted(ids)) if token}
    special = set(tokenizer.all_special_tokens) - media
    special |= {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special} - media
    return _any_of(media), _any_of(special)


def _any_of(tokens: set[str]) -> re.Pattern[str] | None:
    # A token of one or two characters is ordinary text too often to be told.
    words = sorted((re.escape(token) for token in tokens if len(token) > 2), key=len, reverse=True)
    return re.compile("|".join(words)) if words else None


def _make_vision_counter(model: str, max_pixels: int) -> Callable[[Picture], int]:
    """Tokens of an image under Qwen-VL's resize: sides rounded to patch·merge pixels, area within the limits."""
    side, least, most = read_picture_limits(Path(model), max_pixels)

    @lru_cache(maxsize=100_000)
    def file_tokens(path: Path) -> int:
        return counted(path)

    def counted(picture: Picture) -> int:
        with open_picture(picture) as image:
            return count_vision_tokens(image.width, image.height, side=side, min_pixels=least, max_pixels=most)

    # A picture that rows share is opened once; embedded ones are not kept.
    return lambda picture: file_tokens(picture) if isinstance(picture, Path) else counted(picture)
