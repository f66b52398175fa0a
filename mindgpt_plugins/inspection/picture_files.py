"""Pictures that rows name: each file is looked at once, however many rows share it, and many in other processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from mindgpt_plugins.core.errors import StageError
from mindgpt_plugins.inspection.faults import Fault
from mindgpt_plugins.inspection.images import find_image_faults

FULL_DECODE = 2000
"""Up to this many pictures are decoded completely; beyond, only their headers and checksums are read."""
_BATCH = 500


class PictureFiles:
    """Collects the pictures of a set and finds their faults.

    Beyond :data:`FULL_DECODE` pictures, other processes look at them while the rows are still being read.
    """

    def __init__(self) -> None:
        self._places: dict[Path, list[str]] = {}
        self._pool: ProcessPoolExecutor | None = None
        self._sent = 0
        self._found: list[Future[list[list[Fault]]]] = []

    def __enter__(self) -> PictureFiles:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def add(self, path: Path, place: str) -> None:
        """A row at ``place`` names the file."""
        self._places.setdefault(path, []).append(place)
        if len(self._places) > FULL_DECODE and len(self._places) >= self._sent + _BATCH:
            self._send()

    def find_faults(self) -> Iterator[Fault]:
        """Faults of all files, in the order in which rows name them; call it once, after the last row.

        Raises:
            StageError: a process that looks at pictures died.
        """
        if len(self._places) > FULL_DECODE:
            self._send()
            faults = self._collect()
        else:
            faults = (list(find_image_faults(path, "", full=True)) for path in self._places)
        for places, found in zip(self._places.values(), faults, strict=True):
            more = f" and {len(places) - 1} more rows" if len(places) > 1 else ""
            for fault in found:
                yield Fault(fault.kind, places[0] + more, fault.detail)

    def _send(self) -> None:
        if self._pool is None:
            # The rows keep one core busy.
            count = max(1, min(16, (os.cpu_count() or 2) - 1))
            self._pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"))
        fresh = list(islice(self._places, self._sent, None))
        self._sent += len(fresh)
        for start in range(0, len(fresh), _BATCH):
            self._found.append(self._pool.submit(_find_all, fresh[start : start + _BATCH]))

    def _collect(self) -> Iterator[list[Fault]]:
        try:
            for future in self._found:
                yield from future.result()
        except BrokenProcessPool:
            raise StageError("a process that looks at the pictures of a set was killed; is the memory full?") from None


def _find_all(paths: list[Path]) -> list[list[Fault]]:
    return [list(find_image_faults(path, "", full=False)) for path in paths]
