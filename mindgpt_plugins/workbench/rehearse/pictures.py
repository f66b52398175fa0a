"""The few pictures of a user's folder or manifest that a rehearsal looks at."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

from mindgpt_plugins.core.files import read_jsonl, write_jsonl
from mindgpt_plugins.core.own_folders import walk_user_folder

PICTURES = 24


def link_few_pictures(source: Path, target: Path) -> Path:
    """Link the first pictures of a folder or a ``.jsonl`` manifest into another folder; what to name in its place.

    A COCO file is left as it is: its annotations refer to each other.
    """
    if source.is_dir():
        from mindgpt_data.corpus.folder import SUFFIXES

        files = (Path(at, name) for at, names in walk_user_folder(source) for name in names or ())
        for path in islice((path for path in files if path.suffix.lower() in SUFFIXES), PICTURES):
            _link(path, target / path.relative_to(source))
        return target
    if source.suffix != ".jsonl":
        return source
    lines = [line for _, line in islice(read_jsonl(source), PICTURES)]
    for line in lines:
        named = line.get("image") or []
        for image in [named] if isinstance(named, str) else named:
            if not os.path.isabs(image) and (source.parent / image).is_file():
                _link(source.parent / image, target / image)
    write_jsonl(target / source.name, lines)
    return target / source.name


def _link(path: Path, link: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.exists():
        link.symlink_to(path.resolve())
