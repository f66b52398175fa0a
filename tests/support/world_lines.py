"""Lines of a manifest of the world as fields of image records, for tests that need no pictures to be opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mindgpt_plugins.core.files import read_jsonl


def read_world_lines(manifest: Path) -> list[dict[str, Any]]:
    """Read the lines; their boxes are in pixels, as those of records always are, so that nothing has to say it."""
    lines = [line for _, line in read_jsonl(manifest)]
    assert {line.pop("boxes") for line in lines} == {"pixels"}
    return lines
