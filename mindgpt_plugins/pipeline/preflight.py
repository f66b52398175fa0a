"""Looks at the data before a trainer does: missing or corrupt images, and prompts longer than their limit.

Trainers meet these faults in mid-epoch (a truncated prompt breaks "image features ≠ image tokens"), hours in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.sizing.pictures import count_vision_tokens, read_picture_limits
from mindgpt_plugins.sizing.samples import Picture, open_picture, read_samples
from mindgpt_plugins.stages.base import TokenLimit

if TYPE_CHECKING:
    from mindgpt_plugins.pipeline.plan import PlannedStage

_FULL_DECODE = 2000
"""Up to this many images are decoded completely; beyond, only their headers and checksums are read."""


@dataclass(frozen=True)
class Longest:
    """Result of counting one dataset."""

    limit: TokenLimit
    tokens: int
    place: str
    rows: int


def check_data(stage: PlannedStage) -> list[str]:
    """Problems in the data of a planned stage; data of stages that have not run yet is left for later."""
    problems = []
    for limit in stage.stage.token_limits(stage.config):
        folder, name = stage.context.dataset(limit.dataset)
        if not stage.context.made(limit.dataset):
            continue
        if not (folder / "dataset_info.json").is_file():
            if limit.dataset.rpartition("/")[0] not in stage.context.inputs:
                problems.append(f"dataset {limit.dataset!r}: {folder} has no dataset_info.json")
            continue
        try:
            if limit.dataset.rpartition("/")[0] not in stage.context.inputs:
                problems += find_image_problems(folder, name)
            if not problems:
                longest = measure_longest_row(
                    folder, name, limit, stage.context.model(limit.model), stage.context.max_pixels
                )
                if longest is not None and longest.tokens > limit.limit:
                    problems.append(describe_long_row(longest))
        except StageError as error:
            problems.append(str(error))
    return problems


def describe_long_row(longest: Longest) -> str:
    """The message for a row over its limit."""
    limit = longest.limit
    what = "prompt and reply" if limit.with_response else "prompt"
    return (
        f"dataset {limit.dataset!r}: {longest.place} has {longest.tokens} tokens ({what}, vision tokens included) but "
        f"{limit.key} is {limit.limit}; raise it to at least {longest.tokens}, lower image.max_pixels, or drop the row"
    )


def find_image_problems(folder: Path, name: str) -> list[str]:
    """Missing and corrupt images of a set, the first five by name."""
    first: dict[Path, str] = {}
    bad = []
    for sample in read_samples(folder, name):
        for position, picture in enumerate(sample.images):
            if isinstance(picture, Path):
                first.setdefault(picture, sample.place)  # rows share files: each is opened once, and all are counted
            else:
                bad += _faults(picture, f"set {name!r}: {sample.place}: embedded image {position}", full=True)
    for path, place in first.items():
        bad += _faults(path, f"set {name!r}: {place}: image {path}", full=len(first) <= _FULL_DECODE)
    more = [f"set {name!r}: {len(bad) - 5} more images are missing or corrupt"] if len(bad) > 5 else []
    return bad[:5] + more


def _faults(picture: Picture, what: str, *, full: bool) -> list[str]:
    from PIL import Image, UnidentifiedImageError

    try:
        with open_picture(picture) as image:
            if full:
                image.load()
            else:
                image.verify()
    except FileNotFoundError:
        return [f"{what} does not exist"]
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        return [f"{what} cannot be read: {error}"]
    return []


def measure_longest_row(folder: Path, name: str, limit: TokenLimit, model: str, max_pixels: int) -> Longest | None:
    """Count every row in tokens and return the longest; ``None`` when the model's tokenizer is not at hand."""
    tokenizer = _tokenizer(model)
    if tokenizer is None:
        return None
    vision = _vision_counter(model, max_pixels)
    best, best_place, rows = 0, "", 0
    for sample in read_samples(folder, name):
        rows += 1
        messages = sample.messages
        if not limit.with_response and messages and messages[-1][0] == "assistant":
            messages = messages[:-1]
        chat = [{"role": role, "content": text.replace("<image>", "")} for role, text in messages]
        ask = not limit.with_response
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=ask)
        length = len(tokenizer(text, add_special_tokens=False)["input_ids"])
        length += sum(vision(image) + 2 for image in sample.images)  # 2: vision start and end
        if length > best:
            best, best_place = length, sample.place
    return Longest(limit, best, best_place, rows)


@lru_cache(maxsize=4)
def _tokenizer(model: str) -> Any:
    if not (Path(model) / "tokenizer_config.json").is_file():
        return None
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model)


def _vision_counter(model: str, max_pixels: int) -> Callable[[Picture], int]:
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
