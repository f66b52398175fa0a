"""The two small label trees of the rendered world."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from mindgpt_data.tree.files import load
from mindgpt_data.tree.model import Tree


def labels(dimension: str) -> Tree:
    """The world's ``knowledge`` or ``capability`` tree."""
    with resources.as_file(resources.files("mindgpt_data.world").joinpath(f"{dimension}.yaml")) as path:
        return load(dimension, Path(path))
