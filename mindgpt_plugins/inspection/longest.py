"""Counts rows in a model's tokens, finds the longest, and tokens in texts that only a processor may write."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.files import read_json
from mindgpt_plugins.core.upright import read_upright_size
from mindgpt_plugins.families import PictureCounter, PixelLimits, Thinking, load_family, load_tokenizer
from mindgpt_plugins.families.family import MEDIA_IDS
from mindgpt_plugins.inspection.faults import Fault
from mindgpt_plugins.inspection.turns import TAGS
from mindgpt_plugins.sizing.samples import Picture, Sample, open_picture

_BATCH = 256
"""Rows that are tokenised at once: the tokenizer works on them in parallel."""
_TAG = TAGS["images"]
"""Where a picture stands in a turn's text."""
_ANY_TAG = re.compile("|".join(map(re.escape, TAGS.values())))


class UncountedRow(ValueError):
    """The model's chat template does not take a row, or there is none; the message says why."""


class RowMeter:
    """Measures rows one after the other.

    Args:
        model: folder with a tokenizer and a processor.
        limits: the recipe's limits of a picture.
        with_response: whether the supervised reply counts.
        thinking: how the chat template is switched.

    Attributes:
        tokens: of the longest row so far, pictures included.
        place: where it is.
    """

    def __init__(self, model: str, limits: PixelLimits, *, with_response: bool, thinking: Thinking = "model") -> None:
        self.tokens, self.place = 0, ""
        self._estimate = 0
        self._file_size = lru_cache(maxsize=100_000)(read_size)  # rows share files; embedded pictures are not kept
        self._with_response = with_response
        self._family = load_family(Path(model), thinking)
        self._pictures = PictureCounter(Path(model), limits)
        self._media, self._special = find_reserved_tokens(model)
        self._waiting: list[tuple[str, str, list[tuple[int, int]], int]] = []

    def find_model_faults(self, sample: Sample) -> Iterator[Fault]:
        """What this model cannot take: pictures without eyes, tokens in the text that it would not read as text."""
        if sample.images and not self._family.sees:
            yield Fault("no_vision", sample.place)
        if self._family.processor.chat_template is None:
            yield Fault("no_chat_template", sample.place)
        for _, turn in sample.messages:
            # A tag is a place, also for models whose own token is spelt alike (LLaVA, PaliGemma, LFM2-VL).
            text = _ANY_TAG.sub(" ", turn)
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
        try:
            text = self._family.render_chat(place_pictures(messages, len(sample.images)), ask=not self._with_response)
        except Exception as error:  # noqa: BLE001 - a template is a program, and raises what it likes
            raise UncountedRow(" ".join(str(error).split())[:200] or type(error).__name__) from None
        sizes = [self._file_size(one) if isinstance(one, Path) else read_size(one) for one in sample.images]
        self._waiting.append((sample.place, text, sizes, self._pictures.count_added(sizes) if sizes else 0))
        if len(self._waiting) >= _BATCH:
            self.finish()

    def finish(self) -> None:
        """Tokenise what waits."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        begin = self._family.adds_special_tokens(waiting[0][1])  # one template writes all
        found = self._family.tokenizer([row[1] for row in waiting], add_special_tokens=begin)["input_ids"]
        for (place, text, sizes, added), ids in zip(waiting, found, strict=True):
            length = len(ids) + added
            if length <= self._estimate:
                continue
            self._estimate = length
            # The few rows that are the longest so far are counted whole.
            exact = self._pictures.count_row(text, sizes)
            if (length if exact is None else exact) > self.tokens:
                self.tokens, self.place = length if exact is None else exact, place


def place_pictures(messages: Sequence[tuple[str, str]], count: int) -> list[dict[str, Any]]:
    """Turns as a chat template takes them, with a part for each of ``count`` pictures where its tag stands.

    Pictures without a tag come first, as the evaluator asks about them.
    """
    turns: list[dict[str, Any]] = []
    left = count
    for role, text in messages:
        if not count:
            turns.append({"role": role, "content": text})
            continue
        parts: list[dict[str, Any]] = []
        for position, piece in enumerate(text.split(_TAG)):
            if position and left:
                parts.append({"type": "image"})
                left -= 1
            if piece:
                parts.append({"type": "text", "text": piece})
        turns.append({"role": role, "content": parts})
    first = next((turn for turn in turns if turn["role"] == "user"), None)
    if left and first is not None:
        first["content"] = [{"type": "image"}] * left + first["content"]
    return turns


def has_tokenizer(model: str) -> bool:
    """Whether a model's tokenizer is in a local folder."""
    return (Path(model) / "tokenizer_config.json").is_file()


@lru_cache(maxsize=4)
def find_reserved_tokens(model: str) -> tuple[re.Pattern[str] | None, re.Pattern[str] | None]:
    """Patterns of a model's tokens for media, as its ``config.json`` names them, and of its other special tokens."""
    tokenizer = load_tokenizer(Path(model))
    path = Path(model) / "config.json"
    config = read_json(path) if path.is_file() else {}
    ids = {value for key, value in config.items() if MEDIA_IDS.fullmatch(key) and isinstance(value, int)}
    media = {token for token in tokenizer.convert_ids_to_tokens(sorted(ids)) if token}
    special = set(tokenizer.all_special_tokens) - media
    special |= {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special} - media
    return _any_of(media), _any_of(special)


def _any_of(tokens: set[str]) -> re.Pattern[str] | None:
    # A token of one or two characters is ordinary text too often to be told.
    words = sorted((re.escape(token) for token in tokens if len(token) > 2), key=len, reverse=True)
    return re.compile("|".join(words)) if words else None


def read_size(picture: Picture) -> tuple[int, int]:
    """Width and height of a picture as models see it, in pixels."""
    with open_picture(picture) as image:
        return read_upright_size(image)
