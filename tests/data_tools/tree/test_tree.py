import pytest
from mindgpt_data.pictures import KINDS
from mindgpt_data.tree.checks import build_tree
from mindgpt_data.tree.model import TreeError
from mindgpt_data.world.labels import load_world_tree


def node(id: str, level: int, parent: str | None = None, **more: object) -> dict[str, object]:
    return {"id": id, "level": level, "parent": parent, "name": id, "definition": id, **more}


GOOD = [node("a", 1), node("b", 2, "a"), node("c", 3, "b", density="text")]


def test_shipped_trees_load_and_cover_the_world() -> None:
    capability, knowledge = load_world_tree("capability"), load_world_tree("knowledge")
    assert {k.leaf for k in KINDS.values()} <= set(knowledge.leaves)
    assert capability.path("perception.colour") == ["perception", "perception.attributes", "perception.colour"]


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([*GOOD, node("c", 3, "b", density="text")], "'c' occurs twice"),
        ([*GOOD, node("d", 3, "gone", density="text")], "parent 'gone', which does not exist"),
        ([node("a", 2, "b"), node("b", 2, "a")], "its own ancestor"),
        ([*GOOD, node("d", 3, "a", density="text")], "has level 3; under its parent it must be 2"),
        ([*GOOD, node("d", 2, "a")], "has no children"),
        ([*GOOD, node("d", 3, "b")], "needs a density dimension"),
        ([*GOOD, node("d", 3, "b", density="colour")], "density 'colour'"),
        ([*GOOD, node("d", 3, "b", density="text", exemplars=list("wxyz"))], "at most 3"),
        ([*GOOD, node("d", 3, "b", colour="red")], "colour: Extra inputs"),
    ],
)
def test_a_tree_with_a_hole_is_refused(nodes, message) -> None:
    with pytest.raises(TreeError, match=message):
        build_tree("capability", nodes)


def test_coverage_and_entropy() -> None:
    tree = build_tree("capability", [*GOOD, node("d", 3, "b", density="text")])
    assert tree.coverage({"c": 5, "d": 5}) == {"leaves": 2, "covered": 1.0, "entropy": pytest.approx(1.0)}
    assert tree.coverage({"c": 5})["entropy"] == 0.0
    assert tree.coverage({})["covered"] == 0.0
