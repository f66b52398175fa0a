"""Looks at the data before a trainer does: missing or corrupt images, and prompts longer than their limit.

Trainers meet these faults in mid-epoch (a truncated prompt breaks "image features ≠ image tokens"), hours in.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.core.files import read_json
from mindgpt_plugins.stages.base import TokenLimit

if TYPE_CHECKING:
    from mindgpt_plugins.pipeline.plan import PlannedStage

_FULL_DECODE = 2000
"""Up to this many images are decoded completely; beyond, only their headers and checksums are read."""


@dataclass(frozen=True)
class Sample:
    """One row as the trainer will see it."""

    place: str
    messages: tuple[tuple[str, str], ...]
    """(role, text) in order; the last one is the supervised reply, if there is one."""
    images: tuple[Path, ...]


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
    """Rows of a set listed in ``dataset_info.json`` (sharegpt or alpaca formatting, JSON or JSONL).

    Raises:
        StageError: the set is not listed, its file is missing or not valid, or a column is missing.
    """
    info = read_json(folder / "dataset_info.json")
    if name not in info:
        raise StageError(f"{folder / 'dataset_info.json'} lists no set {name!r}; it has: {', '.join(info)}")
    entry = info[name]
    file = folder / str(entry.get("file_name", f"{name}.json"))
    try:
        text = file.read_text(encoding="utf-8")
        rows = [json.loads(line) for line in text.splitlines() if line] if file.suffix == ".jsonl" else json.loads(text)
    except FileNotFoundError:
        raise StageError(f"set {name!r}: file {file} does not exist") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StageError(f"set {name!r}: {file} is not valid JSON: {error}") from error
    columns, tags = entry.get("columns", {}), entry.get("tags", {})
    sharegpt = entry.get("formatting", "alpaca") == "sharegpt"
    for number, row in enumerate(rows):
        place = f"row {number}" + (f" (uid {row['uid']})" if "uid" in row else "")
        try:
            messages = _sharegpt(row, columns, tags) if sharegpt else _alpaca(row, columns)
        except KeyError as error:
            raise StageError(f"set {name!r}: {place} of {file} has no column {error}") from None
        images = row.get(columns.get("images", "images")) or []
        yield Sample(place, tuple(messages), tuple(folder / str(image) for image in images))


def image_problems(folder: Path, name: str) -> list[str]:
    """Missing and corrupt images of a set, the first five by name."""
    from PIL import Image, UnidentifiedImageError

    paths: dict[Path, str] = {}
    for sample in read_samples(folder, name):
        for path in sample.images:
            paths.setdefault(path, sample.place)
    bad = []
    for path, place in paths.items():
        try:
            with Image.open(path) as image:
                if len(paths) <= _FULL_DECODE:
                    image.load()
                else:
                    image.verify()
        except FileNotFoundError:
            bad.append(f"set {name!r}: {place}: image {path} does not exist")
        except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
            bad.append(f"set {name!r}: {place}: image {path} cannot be read: {error}")
    more = [f"set {name!r}: {len(bad) - 5} more images are missing or corrupt"] if len(bad) > 5 else []
    return bad[:5] + more


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


def _vision_counter(model: str, max_pixels: int) -> Callable[[Path], int]:
    """Tokens of an image under Qwen-VL's resize: sides rounded to patch·merge pixels, area within the limits."""
    side, least, most = picture_limits(Path(model), max_pixels)

    @cache
    def tokens(path: Path) -> int:
        from PIL import Image

        with Image.open(path) as image:
            return vision_tokens(image.width, image.height, side=side, min_pixels=least, max_pixels=most)

    return tokens


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


def _sharegpt(row: dict[str, Any], columns: dict[str, str], tags: dict[str, str]) -> list[tuple[str, str]]:
    role, content = tags.get("role_tag", "from"), tags.get("content_tag", "value")
    names = {
        tags.get("user_tag", "human"): "user",
        tags.get("assistant_tag", "gpt"): "assistant",
        tags.get("system_tag", "system"): "system",
    }
    turns = [
        (names.get(turn[role], turn[role]), turn[content]) for turn in row[columns.get("messages", "conversations")]
    ]
    replies = [row[columns[key]][content] for key in ("chosen", "rejected") if key in columns]
    return [*turns, ("assistant", max(replies, key=len))] if replies else turns


def _alpaca(row: dict[str, Any], columns: dict[str, str]) -> list[tuple[str, str]]:
    prompt = str(row[columns.get("prompt", "instruction")])
    query = row.get(columns.get("query", "input")) or ""
    return [
        ("user", f"{prompt}\n{query}" if query else prompt),
        ("assistant", str(row[columns.get("response", "output")])),
    ]
