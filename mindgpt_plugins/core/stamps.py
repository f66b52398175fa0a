"""Digests of the files that something reads, remembered by size and times, so that a second look opens none of them.

What is read has two halves: a few *lists* (a set's file, a manifest), whose content says which *media* (pictures,
videos) belong to it. Content decides, so a file that was only touched or copied is the same; size and times only say
whether it must be opened again. A changed content behind an unchanged size and modification time (``rsync -t``,
``touch -r``) is seen by the time of the inode's last change. Source: ours, after git's index.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG
from typing import Any

from mindgpt_plugins.core.files import FileError, read_json, write_bytes

LARGE = 16 << 20
"""From this size in bytes on, videos and weights are the same while size and modification time are: reading them takes
minutes, and nothing must take minutes before a plan is shown."""
FRESH = 2_000_000_000
"""Nanoseconds in which a file may change again without another time: what changed so shortly ago is not remembered."""
VERSION = 1
_BLOCK = 1 << 16
_THREADS = 8
"""Files read at once: on a disk or over a network the wait for one is spent on others."""
_CHUNK = 256

Entry = tuple[int, int, int, str]
"""Size, time of the last modification, time of the inode's last change (both in nanoseconds), digest."""


@dataclass(frozen=True)
class ReadFiles:
    """What is read under one name.

    Attributes:
        root: folder that the media's names are relative to.
        lists: name → file, of those that are read first.
        media: gives the names of the media; asked only when a list, or ``extra``, is not what it was, or there is none.
            What it cannot read has no media: whoever reads it for good says why.
        extra: other things that are read, name → digest, e.g. one entry of a file that has entries of others.
        way: everything else that decides which media there are, e.g. who reads the set.
        weights: whether lists of :data:`LARGE` and more are not opened; media of that size never are.
    """

    root: Path
    lists: Mapping[str, Path] = field(default_factory=dict)
    media: Callable[[], Iterable[str]] = tuple
    extra: Mapping[str, str] = field(default_factory=dict)
    way: str = ""
    weights: bool = False


@dataclass(frozen=True)
class Stamp:
    """Digests of what is read: name → 16 hex digits, ``missing``, ``no file`` or ``unreadable``."""

    lists: Mapping[str, str]
    media: Mapping[str, str]

    @property
    def digest(self) -> str:
        """16 hex digits over names and digests."""
        whole = hashlib.sha256()
        for part in (self.lists, self.media):
            whole.update("".join(f"{part[name]} {name}\n" for name in sorted(part)).encode("utf-8", "surrogatepass"))
            whole.update(b"\0")
        return whole.hexdigest()[:16]


class StampMemory:
    """Stamps of one process, and in a folder what is needed to make them again quickly.

    A file of the folder that is missing, cut or of another release is none: everything is then read anew. So is one
    that cannot be written.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._made: dict[str, Stamp] = {}
        self._unsaved: dict[str, dict[str, dict[str, Entry]]] = {}

    def stamp(self, read: ReadFiles) -> Stamp:
        """Digests of everything that is read; once per process, so that one plan sees one state of the disk."""
        named = json.dumps(
            [str(read.root), sorted(map(str, read.lists.values())), sorted(read.extra), read.way, read.weights]
        )
        key = hashlib.sha256(named.encode()).hexdigest()[:16]
        if key not in self._made:
            self._made[key] = self._stamp(key, read)
        return self._made[key]

    def save(self) -> None:
        """Write what was found since the last time; the folder is made."""
        while self._unsaved:
            key, content = self._unsaved.popitem()
            # No fsync: after a power loss the file may be cut, and is then none. On a disk that is full or read-only
            # nothing is lost but time; whoever needs the disk for more says so.
            with suppress(OSError):
                write_bytes(self._file(key), _dump(content), sync=False)

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    def _stamp(self, key: str, read: ReadFiles) -> Stamp:
        known = _load(self._file(key))
        files = {name: str(path) for name, path in read.lists.items()}
        lists = _digest_all(files, known["lists"], LARGE if read.weights else None)
        told = {**read.extra, **{name: entry[-1] for name, entry in lists.items()}}
        before = {name: entry[-1] for name, entry in {**known["extra"], **known["lists"]}.items()}
        # A picture that is missing may be looked for in several places, and be found in another one now.
        listed = lists and told == before and all(entry[-1] != "missing" for entry in known["media"].values())
        names: Iterable[str] = known["media"] if listed else _list_media(read)
        base = f"{read.root}{os.sep}"
        media = _digest_all({n: n if n.startswith(os.sep) else base + n for n in names}, known["media"], LARGE)
        content = {"lists": lists, "media": media, "extra": {name: (0, 0, 0, one) for name, one in read.extra.items()}}
        if content != known:
            self._unsaved[key] = content
        return Stamp(told, {name: entry[-1] for name, entry in media.items()})


def _load(file: Path) -> dict[str, dict[str, Entry]]:
    nothing: dict[str, dict[str, Entry]] = {"lists": {}, "media": {}, "extra": {}}
    try:
        found = read_json(file)
        if found["version"] != VERSION:
            return nothing
        parts = {}
        for part in nothing:
            names, *columns = found[part]
            if len(columns) != 4 or not {*map(type, (*names, *columns[-1]))} <= {str}:
                return nothing
            parts[part] = dict(zip(names, zip(*columns, strict=True), strict=True))
        return parts
    except (OSError, FileError, LookupError, TypeError, ValueError):
        return nothing


def _dump(content: Mapping[str, Mapping[str, Entry]]) -> bytes:
    """What :func:`_load` reads: by column, which takes half the time to parse."""
    parts: dict[str, list[Any]] = {
        part: [[*entries], *zip(*entries.values(), strict=True)] if entries else [[]] * 5
        for part, entries in content.items()
    }
    # ASCII only: names of files may hold what UTF-8 does not.
    return json.dumps({"version": VERSION, **parts}).encode()


def _list_media(read: ReadFiles) -> Iterable[str]:
    try:
        return list(read.media())
    except (OSError, ValueError):  # a FileError is one
        return ()


def _digest_all(files: Mapping[str, str], known: Mapping[str, Entry], large: int | None) -> dict[str, Entry]:
    """Name → what is to be remembered; files under ``large`` are opened where size or a time is another."""
    now = time.time_ns()
    found: dict[str, Entry] = {}
    todo: list[str] = []
    for name, path in files.items():
        try:
            stat = os.stat(path)
        except (OSError, ValueError):  # a row may name anything: too long, or with a NUL
            found[name] = (0, 0, 0, "missing")
            continue
        if not S_ISREG(stat.st_mode):  # a folder, or a pipe, which would never end
            found[name] = (0, 0, 0, "no file")
            continue
        times = stat.st_mtime_ns, stat.st_ctime_ns
        before = known.get(name)
        if before is not None and before[:3] == (stat.st_size, *times):
            found[name] = before
        elif large is not None and stat.st_size >= large:
            told = f"{stat.st_size} {stat.st_mtime_ns}"
            found[name] = (stat.st_size, *times, hashlib.sha256(told.encode()).hexdigest()[:16])
        else:
            # A size of -1 fits nothing: the times of a file that may still change prove nothing the next time.
            found[name] = (stat.st_size if now - stat.st_ctime_ns > FRESH else -1, *times, "")
            todo.append(name)
    chunks = [[files[name] for name in todo[start : start + _CHUNK]] for start in range(0, len(todo), _CHUNK)]
    with ThreadPoolExecutor(_THREADS) as pool:
        digests = [one for some in pool.map(_digest_files, chunks) for one in some]
    for name, digest in zip(todo, digests, strict=True):
        found[name] = (*found[name][:3], digest)
    return found


def _digest_files(paths: Iterable[str]) -> list[str]:
    return [_digest_file(path) for path in paths]


def _digest_file(path: str) -> str:
    digest = hashlib.sha256()
    try:
        file = os.open(path, os.O_RDONLY)  # a file object costs as much as hashing a small picture
        try:
            while block := os.read(file, _BLOCK):
                digest.update(block)
        finally:
            os.close(file)
    except OSError:
        return "unreadable"  # whoever reads it says so; another message now would come twice
    return digest.hexdigest()[:16]
