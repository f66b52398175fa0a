"""Can saved weights be computed with? Reads safetensors shard by shard with numpy: no torch, no host.

A floating-point number is inf or NaN where all bits of its exponent are set, so one AND and one maximum over the raw
integers decide, for bfloat16 and float8 as well, which numpy does not know. The same maximum shows numbers beyond 2^60,
which the last update of a run that diverges can leave: a norm squares them, and float32 ends at 2^128.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mindgpt_plugins.core.files import FileError

CHUNK = 1 << 19
"""Bytes that are looked at in one go: they stay in the core's cache, which makes it three times as fast as 8 MB."""
_LARGE = 60
#: Element type → bytes of an element, bits of its exponent, and the least of these bits that is too much. Integers have
#: no such numbers.
EXPONENTS = {
    "F64": (8, 0x7FF << 52, (1023 + _LARGE) << 52),
    "F32": (4, 0xFF << 23, (127 + _LARGE) << 23),
    "BF16": (2, 0xFF << 7, (127 + _LARGE) << 7),
    "F16": (2, 0x1F << 10, 0x1F << 10),
    "F8_E5M2": (1, 0x1F << 2, 0x1F << 2),
    "F8_E4M3": (1, 0x7F, 0x7F),  # no inf: only S.1111.111 is NaN
    "F8_E8M0": (1, 0xFF, 0xFF),  # a scale: only 255 is NaN
}


@dataclass(frozen=True)
class BadWeights:
    """What cannot be computed with in a folder of weights.

    Attributes:
        file: shard of the first tensor.
        tensor: name of the first tensor with inf, NaN or a number beyond 2^60.
        bad: how many such tensors there are.
        tensors: all tensors of the folder.
    """

    file: Path
    tensor: str
    bad: int
    tensors: int

    def __str__(self) -> str:
        share = f"{self.bad} of {self.tensors} tensors"
        return f"{share} hold inf, NaN or numbers beyond 2^60, first {self.tensor} in {self.file}"


def find_bad_weights(folder: Path) -> BadWeights | None:
    """Look through every ``.safetensors`` file of a folder; ``None``: all its numbers are sound, or there are none.

    Raises:
        FileError: a file is cut short or is none of that format.
    """
    tensors = 0
    bad: list[tuple[Path, str]] = []
    for file in sorted(folder.glob("*.safetensors")):
        for name, sound in check_shard_tensors(file):
            tensors += 1
            if not sound:
                bad.append((file, name))
    return BadWeights(*bad[0], len(bad), tensors) if bad else None


def check_shard_tensors(file: Path) -> Iterator[tuple[str, bool]]:
    """Yield each tensor's name and whether all its numbers are sound, in the order of the file.

    Raises:
        FileError: the file is cut short or is no safetensors file.
    """
    with file.open("rb") as opened:
        try:
            size = int.from_bytes(opened.read(8), "little")
            header = json.loads(opened.read(size))
            header.pop("__metadata__", None)
            listed = sorted((*one["data_offsets"], name, one["dtype"]) for name, one in header.items())
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, MemoryError) as error:
            raise FileError(f"{file} is no safetensors file ({error}); copy or write it again") from error
        for first, last, name, kind in listed:
            if kind not in EXPONENTS:
                yield name, True
                continue
            opened.seek(8 + size + first)
            yield name, _is_sound(opened, last - first, *EXPONENTS[kind])


def _is_sound(file: BinaryIO, count: int, width: int, mask: int, limit: int) -> bool:
    """Whether in the next ``count`` bytes all numbers of ``width`` bytes have an exponent below ``limit``."""
    import numpy as np

    kind = np.dtype(f"<u{width}")
    whole = np.empty(min(CHUNK, count) // width, kind)
    exponents = np.empty_like(whole)
    while count:
        part = whole[: min(CHUNK, count) // width]
        if file.readinto(part.view(np.uint8)) != part.nbytes:  # type: ignore[attr-defined]
            raise FileError(f"{file.name} is cut short; copy or write it again")
        found = exponents[: len(part)]
        np.bitwise_and(part, kind.type(mask), out=found)
        if int(found.max()) >= limit:
            return False
        count -= part.nbytes
    return True
