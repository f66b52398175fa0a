"""The data report's page from its figures: what its templates cannot compute themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mindgpt_data.report.thumbs import Thumbs
from mindgpt_data.schema.rows import SUB_SCORES
from mindgpt_plugins.web.charts import Dot
from mindgpt_plugins.web.numbers import format_number
from mindgpt_plugins.web.page import render_page

LARGEST = 10_000_000
"""Bytes; what is embedded is bounded so that the page of a large corpus stays below."""
SPENT = ("planned", "generated", "kept")
ALLOCATORS = ("density", "uniform", "random")


def render_report(data: dict[str, Any], thumbs: Thumbs) -> str:
    """The whole page from the figures of ``report.json`` and the corpus' pictures."""
    groups = data["budget"]["groups"] if data["budget"] else []
    return render_page(
        "data_report.html",
        data=data,
        sub_scores=list(SUB_SCORES),
        spent=compute_picture_averages(groups, SPENT),
        beside=compute_picture_averages(groups, ALLOCATORS),
        trees={
            dimension: {"nodes": [pack_node(node) for node in tree["nodes"]], "definitions": tree["definitions"]}
            for dimension, tree in data["trees"].items()
        },
        thumb=thumbs.show,
    )


def compute_picture_averages(groups: Sequence[dict[str, Any]], keys: Sequence[str]) -> dict[str, list[Dot | None]]:
    """Items per picture of each group of pictures, of those keys that any group knows."""
    series = {key: [None if g.get(key) is None else g[key] / g["images"] for g in groups] for key in keys}
    return {
        key: [None if v is None else Dot(v, f"{key}: {format_number(v)}") for v in values]
        for key, values in series.items()
        if any(v is not None for v in values)
    }


def pack_node(node: list[Any]) -> list[Any]:
    """A node without the zeros at its end: most topics of a large tree have nothing."""
    last = len(node)
    while last > 2 and node[last - 1] == 0:
        last -= 1
    return node[:last]
