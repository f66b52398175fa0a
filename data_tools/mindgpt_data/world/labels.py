"""The two small label trees of the rendered world."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mindgpt_data.tree.model import Tree


def locate_tree_file(dimension: str) -> Path:
    """The file of the world's ``knowledge`` or ``capability`` tree."""
    return Path(str(resources.files("mindgpt_data.world").joinpath(f"{dimension}.yaml")))


def load_world_tree(dimension: str) -> Tree:
    """The world's ``knowledge`` or ``capability`` tree."""
    from mindgpt_data.tree.files import load_tree

    return load_tree(dimension, locate_tree_file(dimension))
