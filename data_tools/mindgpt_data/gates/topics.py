"""What a row's capability says about it: is its answer seen in the picture, or known?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mindgpt_data.schema.config import DataSettings
from mindgpt_data.schema.rows import Row
from mindgpt_data.tree.files import load_tree

PERCEPTION = ("subjects", "spatial", "text")
"""Density dimensions whose capabilities are seen, not known."""


def make_perception_test(settings: DataSettings) -> Callable[[Row], bool]:
    """A test for rows of perception topics: capability under ``perception``, or fed by a seen density dimension.

    Capabilities that the tree does not have count by their first part (``perception.count``).

    Raises:
        TreeError: the capability tree cannot be loaded.
    """
    source = settings.tree.capability
    tree = load_tree("capability", None if source == "builtin" else Path(source))

    def seen(row: Row) -> bool:
        if row.capability not in tree.nodes:
            return row.capability.partition(".")[0] == "perception"
        return tree.path(row.capability)[0] == "perception" or tree.nodes[row.capability].density in PERCEPTION

    return seen
