"""A folder of safetensors shards: which tensor lies where, read one at a time; and the same written as a stream.

A 30B model is 60 GB: neither side ever holds more than one tensor of it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindgpt_plugins.core.files import read_json, replace_file, write_json

if TYPE_CHECKING:
    from torch import Tensor

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
FLOATS = ("F64", "F32", "F16", "BF16")
"""Element types that can be interpolated; anything else must be equal in both models."""
_NOT_THE_MODEL = ("trainer_state.json", "all_results.json", "train_results.json", "eval_results.json")
_COPIED = (".json", ".jinja", ".txt", ".model", ".py")


class MergeError(ValueError):
    """Two checkpoints cannot be combined; the message names the tensor or file and the fix."""


@dataclass(frozen=True)
class TensorEntry:
    """One tensor as its shard's header describes it."""

    dtype: str
    shape: tuple[int, ...]
    bytes: int


class Checkpoint:
    """Weights of a Hugging Face model folder.

    Args:
        folder: holds ``model.safetensors``, or shards with ``model.safetensors.index.json``.

    Raises:
        MergeError: there are no safetensors weights, or a shard or a tensor that the index lists is missing.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        index = folder / INDEX
        if index.is_file():
            self.files: dict[str, str] = dict(read_json(index)["weight_map"])
        elif (folder / SINGLE).is_file():
            self.files = dict.fromkeys(read_header(folder / SINGLE), SINGLE)
        else:
            raise MergeError(
                f"{folder} has neither {SINGLE} nor {INDEX}; save the model as safetensors (save_pretrained does)"
            )

    @cached_property
    def entries(self) -> dict[str, TensorEntry]:
        """Name → type and shape of every tensor, in the order of the shards."""
        headers: dict[str, dict[str, TensorEntry]] = {}
        for name, file in self.files.items():
            if file not in headers:
                if not (self.folder / file).is_file():
                    raise MergeError(f"{self.folder / file} is missing, but {INDEX} lists it for {name}")
                headers[file] = read_header(self.folder / file)
            if name not in headers[file]:
                raise MergeError(f"{self.folder / file} has no tensor {name}, but {INDEX} says so")
        return {name: headers[file][name] for name, file in self.files.items()}

    @cached_property
    def config(self) -> dict[str, Any]:
        """The model's ``config.json``."""
        path = self.folder / "config.json"
        if not path.is_file():
            raise MergeError(f"{path} does not exist; a model folder needs its configuration")
        loaded: dict[str, Any] = read_json(path)
        return loaded

    def tensor(self, name: str) -> Tensor:
        """Read one tensor."""
        from safetensors import safe_open

        with safe_open(self.folder / self.files[name], "pt") as file:
            tensor: Tensor = file.get_tensor(name)
        return tensor

    def tied_head(self) -> tuple[str, str] | None:
        """``(output head, input embedding)`` when the configuration ties them and both are stored."""
        text = self.config.get("text_config") or {}
        if not self.config.get("tie_word_embeddings", text.get("tie_word_embeddings", False)):
            return None
        head = next((name for name in self.entries if name.split(".")[-2:] == ["lm_head", "weight"]), None)
        table = next((name for name in self.entries if name.endswith("embed_tokens.weight")), None)
        return (head, table) if head and table else None


def read_header(path: Path) -> dict[str, TensorEntry]:
    """Name → entry of every tensor in one safetensors file, without reading any.

    Raises:
        MergeError: the file is cut short or is none of that format.
    """
    try:
        with open(path, "rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size))
        entries = {}
        end = 0
        for name, found in header.items():
            if name != "__metadata__":
                first, last = found["data_offsets"]
                entries[name] = TensorEntry(found["dtype"], tuple(found["shape"]), last - first)
                end = max(end, last)
    except (ValueError, KeyError, TypeError, OverflowError, MemoryError) as error:
        raise MergeError(f"{path} is no safetensors file ({error}); copy it again") from error
    if path.stat().st_size != 8 + size + end:
        raise MergeError(f"{path} is cut short: {path.stat().st_size} of {8 + size + end} bytes; copy it again")
    return entries


def write_shards(
    folder: Path,
    files: dict[str, str],
    entries: dict[str, TensorEntry],
    parts: Callable[[str], Iterable[Tensor]],
) -> None:
    """Write shards and their index as a stream. A shard that is already there is kept: it was renamed when complete.

    Args:
        folder: where to.
        files: tensor → shard's file name.
        entries: tensor → type and shape.
        parts: tensor's name → its elements in order, in pieces that already have the right type.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shards: dict[str, list[str]] = {}
    for name, file in files.items():
        shards.setdefault(file, []).append(name)
    for file, names in shards.items():
        if (folder / file).is_file():
            continue
        header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
        offset = 0
        for name in names:
            entry = entries[name]
            header[name] = {
                "dtype": entry.dtype,
                "shape": list(entry.shape),
                "data_offsets": [offset, offset + entry.bytes],
            }
            offset += entry.bytes
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        with replace_file(folder / file, alone=True) as aside, aside.open("wb") as out:
            out.write(len(text).to_bytes(8, "little") + text)
            for name in names:
                written = sum(out.write(_bytes(part)) for part in parts(name))
                assert written == entries[name].bytes, name
    if list(shards) != [SINGLE]:
        total = sum(entries[name].bytes for name in files)
        index = {"metadata": {"total_size": total}, "weight_map": files}
        write_json(folder / INDEX, index)


def copy_model_extras(source: Path, folder: Path) -> None:
    """Copy what a model folder needs beside its weights: configuration, processor, tokenizer, chat template."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.iterdir()):
        weights = path.name == INDEX or path.name in _NOT_THE_MODEL or path.name.startswith("adapter_")
        if path.is_file() and path.suffix in _COPIED and not weights:
            shutil.copyfile(path, folder / path.name)


def refuse_bad_numbers(values: Tensor, name: str, folder: Path) -> None:
    """Refuse inf and NaN in a model that is to be combined: a sum with them is of no use, whatever the other's share.

    Raises:
        MergeError: the tensor, and how many of its numbers are not finite.
    """
    bad = sum(int((~values.reshape(-1)[piece].isfinite()).sum()) for piece in slice_elements(values.numel()))
    if bad:
        raise MergeError(
            f"{name} of {folder} holds inf or NaN ({bad} of {values.numel()} numbers): its training diverged; combine "
            "an earlier checkpoint"
        )


def slice_elements(count: int, size: int = 1 << 24) -> Iterator[slice]:
    """Slices over ``count`` elements, so that float32 copies stay small."""
    for start in range(0, count, size):
        yield slice(start, min(count, start + size))


def _bytes(part: Tensor) -> Any:
    import torch

    return part.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
