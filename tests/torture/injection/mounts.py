"""Small disks and read-only folders by ``mount``, which needs root."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from injection.trial import NotRun


def _call(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotRun(f"mounting is refused ({done.stderr.strip().splitlines()[-1]})")


@contextmanager
def mount_disk(folder: Path) -> Iterator[None]:
    """A disk in memory at a folder; see :func:`resize_disk`."""
    folder.mkdir(parents=True, exist_ok=True)
    _call("mount", "-t", "tmpfs", "-o", "size=2g", "tmpfs", folder)
    try:
        yield
    finally:
        unmount_below(folder)


def resize_disk(folder: Path, size: int | None) -> None:
    """Let a disk of :func:`mount_disk` hold so many bytes; None: as many as at first."""
    _call("mount", "-o", f"remount,size={'2g' if size is None else size}", folder)


@contextmanager
def make_read_only(*folders: Path) -> Iterator[None]:
    """Folders that take no writing, from root either."""
    with ExitStack() as stack:
        for folder in folders:
            _call("mount", "--bind", folder, folder)
            stack.callback(unmount_below, folder)
            _call("mount", "-o", "remount,bind,ro", folder)
        yield


def unmount_below(folder: Path) -> None:
    """Take away every mount at a folder and below it, those of a killed torture run included."""
    mounted = [line.split()[1].replace("\\040", " ") for line in Path("/proc/mounts").read_text().splitlines()]
    for place in reversed(mounted):
        if Path(place).is_relative_to(folder.resolve()):
            subprocess.run(["umount", "-l", place], check=True)
