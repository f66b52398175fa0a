"""Looks at the data before a trainer does: missing or corrupt images, and prompts longer than their limit.

Trainers meet these faults in mid-epoch (a truncated prompt breaks "image features ≠ image tokens"), hours in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindgpt_plugins.core.dataset_files import DatasetError, SetInfo, read_set_info, read_set_rows
from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.core.files import read_json
from mindgpt_plugins.stages.base import TokenLimit

if TYPE_CHECKING:
    from PIL.Image import Image

    from mindgpt_plugins.pipeline.plan import PlannedStage

_FULL_DECODE = 2000
"""Up to this many images are decoded completely; beyond, only their headers and checksums are read."""


Picture = Path | bytes
"""A file, or a picture that a row holds itself (Parquet and Arrow can)."""


@dataclass(frozen=True)
class Sample:
    """One row as the trainer will see it."""

    place: str
    messages: tuple[tuple[str, str], ...]
    """(role, text) in order; the last one is the supervised reply, if there is one."""
    images: tuple[Picture, ...]
    row: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """All columns, as they stand in the file."""


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
                problems += image_problems(folder, name)
            if not problems:
                longest = count(folder, name, limit, stage.context.model(limit.model), stage.context.max_pixels)
                if longest is not None and longest.tokens > limit.limit:
                    problems.append(too_long(longest))
        except StageError as error:
            problems.append(str(error))
    return problems


def too_long(longest: Longest) -> str:
    """The message for a row over its limit."""
    limit = longest.limit
    what = "prompt and reply" if limit.with_response else "prompt"
    return (
        f"dataset {limit.dataset!r}: {longest.place} has {longest.tokens} tokens ({what}, vision tokens included) but "
        f"{limit.key} is {limit.limit}; raise it to at least {longest.tokens}, lower image.max_pixels, or drop the row"
    )


def read_samples(folder: Path, name: str) -> Iterator[Sample]:
    """Rows of a set listed in ``dataset_info.json``, one at a time (sharegpt or alpaca formatting, any file kind).

    Raises:
        StageError: the set is not listed, its file is missing or not valid, or a column is missing.
    """
    try:
        info = read_set_info(folder, name)
        for row in read_set_rows(folder, name):
            try:
                messages = _alpaca(row.data, info) if info.formatting == "alpaca" else _sharegpt(row.data, info)
            except KeyError as error:
                raise StageError(f"set {name!r}: {row.place} of {row.file} has no column {error}") from None
            images = tuple(_picture(folder, one) for one in info.media(row.data))
            yield Sample(row.place, tuple(messages), images, row.data)
    except DatasetError as error:
        raise StageError(str(error)) from None


def _picture(folder: Path, value: Any) -> Picture:
    """A picture as the host takes it: a path, bytes, or ``datasets``' pair of both."""
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    return value if isinstance(value, bytes) else folder / str(value)


def open_picture(picture: Picture) -> Image:
    """Open a picture without decoding it.

    Raises:
        OSError: it is missing or no picture.
    """
    from PIL import Image

    return Image.open(BytesIO(picture) if isinstance(picture, bytes) else picture)


def image_problems(folder: Path, name: str) -> list[str]:
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


def count(folder: Path, name: str, limit: TokenLimit, model: str, max_pixels: int) -> Longest | None:
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


def picture_limits(folder: Path, max_pixels: int, min_pixels: int | None = None) -> tuple[int, int, int]:
    """Side of a visual token, least and most pixels of a picture, as the model's processor and the recipe have them.

    Qwen3-VL's processor names its limits ``size``, Qwen2.5-VL's ``min_pixels`` and ``max_pixels``.
    """
    config: dict[str, Any] = {}
    for name in ("processor_config.json", "preprocessor_config.json"):
        if (folder / name).is_file():
            loaded = read_json(folder / name)
            config = {**loaded.get("image_processor", loaded), **config}
    side = int(config.get("patch_size", 16)) * int(config.get("merge_size", 2))
    size = config.get("size") or {}
    least = size.get("shortest_edge") or config.get("min_pixels") or min_pixels or side * side
    most = size.get("longest_edge") or config.get("max_pixels") or max_pixels
    return side, int(least), min(max_pixels, int(most))


def _vision_counter(model: str, max_pixels: int) -> Callable[[Picture], int]:
    """Tokens of an image under Qwen-VL's resize: sides rounded to patch·merge pixels, area within the limits."""
    side, least, most = picture_limits(Path(model), max_pixels)

    @lru_cache(maxsize=100_000)
    def file_tokens(path: Path) -> int:
        return counted(path)

    def counted(picture: Picture) -> int:
        with open_picture(picture) as image:
            return vision_tokens(image.width, image.height, side=side, min_pixels=least, max_pixels=most)

    # A picture that rows share is opened once; embedded ones are not kept.
    return lambda picture: file_tokens(picture) if isinstance(picture, Path) else counted(picture)


def vision_tokens(width: int, height: int, *, side: int, min_pixels: int, max_pixels: int) -> int:
    """Visual tokens of one image (pixels) when a token covers ``side`` × ``side`` pixels.

    The rule is Qwen2-VL's smart resize (2409.12191), which Qwen3-VL keeps.
    """
    h, w = round(height / side) * side, round(width / side) * side
    if h * w > max_pixels:
        scale = math.sqrt(height * width / max_pixels)
        h, w = (max(side, math.floor(x / scale / side) * side) for x in (height, width))
    elif h * w < min_pixels:
        scale = math.sqrt(min_pixels / (height * width))
        h, w = (math.ceil(x * scale / side) * side for x in (height, width))
    return (h // side) * (w // side)


def _sharegpt(row: Mapping[str, Any], info: SetInfo) -> list[tuple[str, str]]:
    tags = info.entry.get("tags", {})
    role, content = tags.get("role_tag", "from"), tags.get("content_tag", "value")
    names = {
        tags.get("user_tag", "human"): "user",
        tags.get("assistant_tag", "gpt"): "assistant",
        tags.get("system_tag", "system"): "system",
    }
    turns = [(names.get(turn[role], turn[role]), turn[content]) for turn in row[info.column("messages") or "messages"]]
    columns = [column for key in ("chosen", "rejected") if (column := info.column(key)) is not None]
    replies = [row[column][content] for column in columns]
    return [*turns, ("assistant", max(replies, key=len))] if replies else turns


def _alpaca(row: Mapping[str, Any], info: SetInfo) -> list[tuple[str, str]]:
    def value(key: str) -> Any:
        column = info.column(key)
        return None if column is None else row[column] if key in ("prompt", "response") else row.get(column)

    turns = [pair for asked, told in value("history") or [] for pair in (("user", asked), ("assistant", told))]
    turns.append(("user", "\n".join(str(value(key)) for key in ("prompt", "query") if value(key))))
    replies = [str(reply) for key in ("chosen", "rejected") if (reply := value(key)) is not None]
    replies = replies or ([str(value("response"))] if info.column("response") else [])
    return [*turns, ("assistant", max(replies, key=len))] if replies else turns
