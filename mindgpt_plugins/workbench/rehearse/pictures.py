"""The few pictures of a user's folder or manifest that a rehearsal looks at."""

from __future__ import annotations

import json
import os
from pathlib import Path

PICTURES = 24


def few_pictures(source: Path, target: Path) -> Path:
    """Link the first pictures of a folder or a ``.jsonl`` manifest into another folder; what to name in its place.

    A COCO file is left as it is: its annotations refer to each other.
    """
    if source.is_dir():
        from mindgpt_data.corpus.folder import SUFFIXES

        paths = [path for path in sorted(source.rglob("*")) if path.suffix.lower() in SUFFIXES][:PICTURES]
        for path in paths:
            _link(path, target / path.relative_to(source))
        return target
    if source.suffix != ".jsonl":
        return source
    lines = [line for line in source.read_text(encoding="utf-8").split("\n") if line.strip()][:PICTURES]
    for line in lines:
        named = json.loads(line).get("image") or []
        for image in [named] if isinstance(named, str) else named:
            if not os.path.isabs(image) and (source.parent / image).is_file():
                _link(source.parent / image, target / image)
    target.mkdir(parents=True, exist_ok=True)
    (target / source.name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return target / source.name


def _link(path: Path, link: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.exists():
        link.symlink_to(path.resolve())
