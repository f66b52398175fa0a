import numpy as np
import pytest
from mindgpt_data.embed import load_embedder
from mindgpt_data.tree import stats
from mindgpt_data.tree.checks import build_tree_from_nodes
from mindgpt_data.tree.model import Tree
from mindgpt_data.tree.nested import parse_nested_nodes

from mindgpt_plugins.core.files import FileError


def tree() -> Tree:
    fruit = {"Apple trees": "x", "Trees apple": "x", "Bananas": "yellow fruit", "Night buses": "at the depot"}
    data = {"Food": {"children": {"Fruit": {"children": fruit}, "Bread": {"children": {"Rye": "x"}}}}, "Cars": None}
    return build_tree_from_nodes("knowledge", parse_nested_nodes(data, "test"), whole=False)


def test_sizes_count_every_domain() -> None:
    assert stats.count_tree_nodes(tree()) == {
        "levels": [2, 2, 5],
        "domains": {"food": {"l2": 2, "l3": 5}, "cars": {"l2": 0, "l3": 0}},
    }


@pytest.mark.parametrize("block", [1, 3, 1024])
def test_overlap_is_the_share_of_leaves_with_a_close_sibling(block, monkeypatch) -> None:
    monkeypatch.setattr(stats, "BLOCK", block)
    found = stats.measure_sibling_overlap(tree(), load_embedder(), 0.88)
    assert found["rate"] == pytest.approx(2 / 5)
    assert {leaf for leaf, _ in found["worst"][:2]} == {"food.fruit.apple_trees", "food.fruit.trees_apple"}
    alone = dict(found["worst"])["food.bread.rye"]
    assert alone == -1.0 and np.isfinite(found["mean"])


def test_counts_of_rows(tmp_path) -> None:
    rows = tmp_path / "kept.jsonl"
    rows.write_text('{"knowledge": "a"}\n{"knowledge": "a"}\n{"knowledge": null}\n')
    assert stats.count_leaf_items(rows, "knowledge") == {"a": 2}
    rows.write_text("{}\n")
    with pytest.raises(FileError, match="line 1: has no 'knowledge'"):
        stats.count_leaf_items(rows, "knowledge")
