import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from mindgpt_data.tree.exporting import write_tree
from mindgpt_data.tree.files import load_tree, merge_trees
from mindgpt_data.tree.ids import make_child_id, make_slug
from mindgpt_data.tree.model import DIMENSIONS, Columns, Tree, TreeError
from mindgpt_data.tree.store import write_parquet
from mindgpt_data.world.labels import load_world_tree


@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("ending", [".parquet", ".yaml", ".json", ".csv"])
def test_every_format_gives_the_same_nodes_back(dimension, ending, tmp_path) -> None:
    seeds, path = load_tree(dimension), tmp_path / f"tree{ending}"
    write_tree(seeds, path)
    once = path.read_bytes()
    again = load_tree(dimension, path)
    assert list(again.nodes.values()) == list(seeds.nodes.values())
    write_tree(again, path)
    assert path.read_bytes() == once


def test_the_seeds_are_what_was_promised() -> None:
    knowledge, capability = load_tree("knowledge"), load_tree("capability")
    assert len(knowledge.roots) >= 12 and len(capability.roots) >= 8
    assert len(knowledge.children("automotive")) >= 12 and len(knowledge.children("medicine")) >= 12
    assert all(node.definition for tree in (knowledge, capability) for node in tree.nodes.values())
    assert min(len(knowledge.children(node)) for node in knowledge.nodes if node not in set(knowledge.leaves)) >= 3
    assert all(capability.nodes[leaf].density for leaf in capability.leaves)
    assert set(load_world_tree("capability").leaves) <= set(capability.leaves)


def test_ids_are_paths_and_collisions_are_told_apart() -> None:
    assert make_slug("Disc brakes (front)") == "disc_brakes_front" and make_slug("制动 盘") == "制动_盘"
    assert make_child_id("a.b", "C++", set()) == "a.b.c"
    other = make_child_id("a.b", "C++", {"a.b.c"})
    assert other.startswith("a.b.c_") and other == make_child_id("a.b", "C++", {"a.b.c"}) != make_child_id(
        "a.b", "C#", {"a.b.c"}
    )
    assert make_slug("🚗") == make_slug("🚗") != make_slug("🚌")


def import_(tmp_path: Path, name: str, content: str | bytes, dimension: str = "knowledge") -> Tree:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_tree(dimension, path)


def test_three_ways_to_write_the_same_tree(tmp_path) -> None:
    csv = import_(
        tmp_path, "a.csv", "l1,l2,l3,definition\nFood,,,What is eaten.\nFood,Fruit,Apples,Red.\nFood,Fruit,Figs,\n"
    )
    text = import_(tmp_path, "a.txt", "# mine\nFood: What is eaten.\n  - Fruit\n\n    - Apples: Red.\n    - Figs\n")
    json = import_(
        tmp_path,
        "a.json",
        '{"Food": {"definition": "What is eaten.", "children": {"Fruit": {"children": '
        '{"Apples": "Red.", "Figs": ""}}}}}',
    )
    assert list(csv.nodes.values()) == list(text.nodes.values()) == list(json.nodes.values())
    assert csv.leaves == ["food.fruit.apples", "food.fruit.figs"]
    assert csv.texts(csv.leaf_rows) == ["Apples: Red.", "Figs"]


def test_csv_carries_capability_fields_and_a_byte_order_mark(tmp_path) -> None:
    lines = "l1,l2,l3,definition,exemplars,density\nSee,Shade,Hue,Colour.,what hue? | which hue?,subjects\n"
    node = import_(tmp_path, "c.csv", b"\xef\xbb\xbf" + lines.encode(), "capability").nodes["see.shade.hue"]
    assert node.exemplars == ("what hue?", "which hue?") and node.density == "subjects"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "l1,l2,l3\nA,B,C\nA,B,c\n", "line 3: 'A / B / c' is already on 2"),
        ("a.csv", "l1,l2,l3\nA,,C\n", "line 2: 'A,,C' has a hole"),
        ("a.csv", "l1,l2\nA,B\n", "line 1: needs columns l1,l2,l3 or id,parent,level,name; got l1,l2"),
        ("a.csv", "l1,l2,l3,colour\nA,B,C,red\n", "line 1: unknown column 'colour'"),
        ("a.csv", "l1,l2,l3\nA,B,C,D\n", "line 2: has another number of cells"),
        ("a.csv", "l1,l2,l3\nA,B,C\nA,D,\n", "line 3: 'a.d' is at level 2 and has no children"),
        ("a.csv", b"l1,l2,l3\nA,B,C\nA,B,\xe9t\xe9\n", "line 3: not UTF-8 .byte 0xe9"),
        ("a.csv", "id,parent,level,name\na,,1,A\nb,gone,2,B\n", "line 3: 'b' has parent 'gone', which does not exist"),
        ("a.csv", "id,parent,level,name\na,b,2,A\nb,a,3,B\n", "line 2: 'a' is its own ancestor"),
        ("a.csv", "id,parent,level,name\na,,1,A\na,,1,B\n", "line 3: id 'a' occurs twice .before: .* line 2"),
        ("a.csv", "id,parent,level,name\na,,two,A\n", "line 2: level must be 1, 2 or 3, got 'two'"),
        ("a.csv", "", "line 1: needs columns"),
        ("a.txt", "A\n  B\n    C\n      D\n", "line 4: 'D' is at level 4"),
        ("a.txt", "A\n    B\n  C\n", "line 3: 'C' is indented by 2, which fits no line"),
        ("a.txt", "A\n \tB\n", "line 2: the indent mixes tabs and spaces"),
        ("a.txt", "A\n B\n  C\n  c\n", "line 4: 'c' is already on line 3"),
        ("a.txt", "# nothing\n", "is empty"),
        ("a.yaml", "A:\n  children:\n    B: x\n    B: y\n", "'B' is already on line 3"),
        ("a.yaml", "A: {children: {B: {children: {C: {children: {D: x}}}}}}", "A / B / C / D: is at level 4"),
        ("a.yaml", "A: &a {children: *a}", "stands inside of what it names"),
        ("a.yaml", "A: {children: {B: {colour: red}}}", "A / B: colour: Extra inputs"),
        ("a.yaml", "A: [", "is no YAML"),
        ("a.json", '{"A": {"children": {"B": "x", "B": "y"}}}', "key 'B' occurs twice"),
        ("a.json", '{"A":\n oops}', "line 2: no JSON"),
        ("a.json", '[{"id": "a", "level": 1, "name": "A", "definition": ""}]', "'a' is at level 1 and has no children"),
        ("a.json", '[{"id": "a", "parent": null, "name": "A", "definition": ""}]', "node 1: level: Field required"),
        ("a.json", "3", "must be labels by name or a list"),
        ("a.docx", "A", "unknown ending"),
        ("a.parquet", "A", "cannot be read"),
    ],
)
def test_a_bad_file_says_where_and_what(name, content, message, tmp_path) -> None:
    with pytest.raises(TreeError, match=message):
        import_(tmp_path, name, content)


def test_a_folder_is_one_tree_and_files_must_not_clash(tmp_path) -> None:
    (tmp_path / "1.txt").write_text("A\n B\n  C\n")
    (tmp_path / "2.csv").write_text("l1,l2,l3\nX,Y,Z\n")
    assert load_tree("knowledge", tmp_path).roots == ["a", "x"]
    (tmp_path / "3.txt").write_text("A\n D\n  E\n")
    with pytest.raises(TreeError, match=r"3.txt line 1: id 'a' occurs twice \(before: .*1.txt line 1\)"):
        load_tree("knowledge", tmp_path)
    assert merge_trees("knowledge", [tmp_path / "2.csv", tmp_path / "1.txt"]).roots == ["x", "a"]
    with pytest.raises(TreeError, match="cannot be read"):
        load_tree("knowledge", tmp_path / "gone.yaml")


def big(leaves: int) -> Tree:
    """A tree of ``leaves`` under 10 × 100 inner nodes."""
    top, middle = 10, 1000
    n = top + middle + leaves
    parents = np.r_[np.full(top, -1), np.arange(middle) % top, top + np.arange(leaves) % middle].astype(np.int32)
    levels = np.r_[np.full(top, 1), np.full(middle, 2), np.full(leaves, 3)].astype(np.int8)
    ids = [f"n{i}" for i in range(n)]
    return Tree("knowledge", Columns(ids, parents, levels, ids, ids, [""] * n, [()] * n, [None] * n))


def test_a_hundred_thousand_leaves_load_quickly(tmp_path) -> None:
    write_parquet(big(100_000), tmp_path / "big.parquet")
    start = time.process_time()
    tree = load_tree("knowledge", tmp_path / "big.parquet")
    assert len(tree.leaves) == 100_000 and tree.path("n101009") == ["n9", "n1009", "n101009"]
    assert time.process_time() - start < 2.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": ["a", "b", "b"]}, "id 'b' occurs twice"),
        ({"parent": [None, "a", "x"]}, "'c' has parent 'x', which does not exist"),
        ({"parent": ["c", "a", "b"]}, "its own ancestor"),
        ({"level": [1, 2, 2]}, "has level 2; under its parent it must be 3"),
    ],
)
def test_a_damaged_tree_file_is_refused(change, message, tmp_path) -> None:
    columns = {"id": ["a", "b", "c"], "parent": [None, "a", "b"], "level": [1, 2, 3]} | change
    texts = {name: ["x"] * 3 for name in ("name", "definition", "exclusions")}
    table = pa.table({**columns, **texts, "exemplars": [[]] * 3, "density": pa.array([None] * 3, pa.string())})
    pa.parquet.write_table(
        table.replace_schema_metadata({"label_tree": "1", "dimension": "knowledge"}), tmp_path / "bad.parquet"
    )
    with pytest.raises(TreeError, match=message):
        load_tree("knowledge", tmp_path / "bad.parquet")


def test_a_tree_of_the_other_dimension_is_refused(tmp_path) -> None:
    write_tree(load_tree("capability"), tmp_path / "c.parquet")
    with pytest.raises(TreeError, match="is a capability tree"):
        load_tree("knowledge", tmp_path / "c.parquet")
