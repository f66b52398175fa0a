import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mindgpt_data.client.request import Answer, Done, Failed, Task
from mindgpt_data.client.run import ask_all
from mindgpt_data.schema.config import EndpointSettings, ExpandSettings
from mindgpt_data.testing.stub import StubServer
from mindgpt_data.tree.checks import build_tree_from_nodes
from mindgpt_data.tree.expand import expand_tree
from mindgpt_data.tree.exporting import write_tree
from mindgpt_data.tree.files import load_tree
from mindgpt_data.tree.model import Tree, TreeError
from mindgpt_data.tree.nested import parse_nested_nodes

FOOD = {
    "Food": {"definition": "What people eat.", "children": {"Fruit": "Sweet parts of plants.", "Bread": "Baked dough."}}
}
ROADS = {"Roads": {"definition": "Where cars drive.", "children": {"Signs": "Boards beside the road."}}}
TOPICS = {
    "Fruit": ["Apples", "Cherries", "Bananas", "Grapes", "Lemons", "Plums"],
    "Bread": ["Rye loaves", "Pretzels", "Flat pita", "Sandwich toast"],
    "Signs": ["Stop boards", "Speed limits", "Parking permission", "Place names"],
    "Food": ["Meat", "Cheese and milk"],
    "Meat": ["Beef steaks", "Chicken wings"],
    "Cheese and milk": [],
    "Roads": [],
}


def tree(*parts: dict[str, Any], dimension: str = "knowledge") -> Tree:
    return build_tree_from_nodes(
        dimension, parse_nested_nodes({k: v for part in parts for k, v in part.items()}, "test"), whole=False
    )


def topic(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "definition": f"{name} seen in pictures.", "exclusions": "", "exemplars": [], **more}


def scripted(messages: list[dict[str, Any]]) -> str:
    """Two further topics of the parent per request; none when all are there or were refused."""
    lines = dict(line.split(": ", 1) for line in messages[1]["content"].splitlines() if ": " in line)
    known = "; ".join((lines["Topics it has"], lines.get("Refused before, do not propose again", "")))
    left = [name for name in TOPICS[lines["Parent"].split(" > ")[-1]] if name not in known.split("; ")]
    return json.dumps({"topics": [topic(name) for name in left[:2]]})


def asks(reply: Callable[[list[dict[str, Any]]], str], order: int = 1) -> Any:
    """An ``ask`` without a server; ``order`` -1 answers last come, first served."""

    def ask(tasks: Iterable[Task[Any]], number: int) -> Iterator[Done[Any] | Failed]:
        for task in list(tasks)[::order]:
            answer = Answer((reply(task.build().messages),))
            try:
                yield Done(task.key, task.parse(answer), answer)
            except ValueError as error:
                yield Failed(task.key, str(error), 1)

    return ask


def says(*topics: dict[str, Any]) -> Any:
    """Proposes these once, then nothing."""
    state = list(topics)

    def reply(messages: list[dict[str, Any]]) -> str:
        found, state[:] = list(state), []
        return json.dumps({"topics": found})

    return asks(reply)


def test_leaves_grow_until_nothing_is_new_whatever_the_order_of_answers() -> None:
    one = expand_tree(tree(FOOD), ExpandSettings(), asks(scripted))
    other = expand_tree(tree(FOOD), ExpandSettings(), asks(scripted, order=-1))
    assert list(one.tree.nodes.values()) == list(other.tree.nodes.values())
    assert one.tree.children("food.fruit") == [f"food.fruit.{name.lower()}" for name in TOPICS["Fruit"]]
    assert one.tree.nodes["food.bread.flat_pita"].definition == "Flat pita seen in pictures."
    assert one.summary["requests"] == 4 + 3 and one.summary["accepted"] == 10  # the last request of each finds nothing


def test_level_two_grows_with_its_leaves_and_drops_what_stays_empty() -> None:
    grown = expand_tree(tree(FOOD), ExpandSettings(), asks(scripted), levels=(2, 3))
    assert grown.tree.children("food") == ["food.fruit", "food.bread", "food.meat"]
    assert grown.tree.children("food.meat") == ["food.meat.beef_steaks", "food.meat.chicken_wings"]
    assert [drop.detail for drop in grown.drops if drop.gate == "leaves"] == ["Cheese and milk"]


def test_a_domain_added_later_leaves_every_other_byte(tmp_path: Path) -> None:
    before = expand_tree(tree(FOOD), ExpandSettings(), asks(scripted), levels=(2, 3)).tree
    after = expand_tree(tree(FOOD, ROADS), ExpandSettings(), asks(scripted), levels=(2, 3))
    alone = expand_tree(tree(FOOD, ROADS), ExpandSettings(), asks(scripted), under=["roads"]).tree
    write_tree(before, tmp_path / "before.yaml")
    write_tree(after.tree, tmp_path / "after.yaml")
    assert (tmp_path / "after.yaml").read_bytes().startswith((tmp_path / "before.yaml").read_bytes())
    assert "roads.signs.stop_boards" in after.tree.leaves
    assert {leaf.split(".")[0] for leaf in alone.leaves} == {"roads"}


def test_close_siblings_are_refused_and_told_to_the_teacher() -> None:
    prompts: list[str] = []
    offers = [[topic("Apple trees"), topic("Trees: apple"), topic("apple-TREES"), topic("Bananas"), topic("Figs")], []]

    def reply(messages: list[dict[str, Any]]) -> str:
        prompts.append(messages[1]["content"])
        return json.dumps({"topics": offers.pop(0)})

    grown = expand_tree(tree(FOOD), ExpandSettings(novelty=0.1), asks(reply), under=["food.fruit"])
    assert [grown.tree.nodes[leaf].name for leaf in grown.tree.leaves] == ["Apple trees", "Bananas", "Figs"]
    assert {(d.gate, d.detail.split(":")[0]) for d in grown.drops} == {("similarity", "Trees"), ("name", "apple-TREES")}
    assert "Topics it has: Apple trees; Bananas; Figs" in prompts[1]
    assert "do not propose again: apple-TREES; Trees: apple" in prompts[1]


def test_the_threshold_is_a_setting() -> None:
    def names(similarity: float) -> list[str]:
        teacher = says(topic("Sweet apples"), topic("Sour apples"))
        grown = expand_tree(tree(FOOD), ExpandSettings(similarity=similarity), teacher, under=["food.fruit"]).tree
        return [grown.nodes[leaf].name for leaf in grown.leaves]

    assert names(0.99) == ["Sweet apples", "Sour apples"] and names(0.5) == ["Sweet apples"]


def test_the_critic_refuses_what_the_parent_does_not_entail() -> None:
    def verdicts(messages: list[dict[str, Any]]) -> str:
        lines = [line for line in messages[1]["content"].splitlines() if line[:1].isdigit()]
        return json.dumps(
            {
                "verdicts": [
                    {"number": i, "entailed": "Cars" not in x, "reason": "no fruit"} for i, x in enumerate(lines, 1)
                ]
            }
        )

    teacher = says(topic("Cars"), topic("Plums"))
    grown = expand_tree(tree(FOOD), ExpandSettings(), teacher, asks(verdicts), under=["food.fruit"])
    assert grown.tree.leaves == ["food.fruit.plums"]
    assert [(drop.reason, drop.detail) for drop in grown.drops] == [("not entailed by the parent", "Cars: no fruit")]


def test_a_critic_that_forgets_a_candidate_is_no_answer() -> None:
    silent = asks(lambda messages: json.dumps({"verdicts": []}))
    grown = expand_tree(tree(FOOD), ExpandSettings(), says(topic("Plums")), silent, under=["food.fruit"])
    assert grown.tree.leaves == [] and grown.summary["failed"] == 1
    assert "no verdict on candidate 1 of 1" in grown.drops[0].detail


def test_exclusion_list_cap_and_capability_density() -> None:
    teacher = says(topic("War toys"), topic("Plums"), topic("Quinces"), topic("Kiwis"))
    grown = expand_tree(tree(FOOD), ExpandSettings(exclude=("war",), cap=2), teacher, under=["food.fruit"])
    assert grown.tree.leaves == ["food.fruit.plums", "food.fruit.quinces"]
    assert {drop.gate for drop in grown.drops} == {"exclude", "cap"}
    parent = {"See": {"definition": "Seeing.", "children": {"Shades": "Colours."}}}
    grown = expand_tree(tree(parent, dimension="capability"), ExpandSettings(), says(topic("Hue", density="subjects")))
    assert grown.tree.nodes["see.shades.hue"].density == "subjects"


def test_novelty_stops_a_node() -> None:
    asked = []
    words = ["Apples", "Bananas", "Figs", "Kiwis", "Lemons", "Plums", "Quinces", "Dates"]

    def reply(messages: list[dict[str, Any]]) -> str:
        asked.append(1)
        new = words[0] if len(asked) == 1 else words[len(asked)]
        return json.dumps(
            {"topics": [topic(new)] + [topic(f"{words[0].upper()}") for _ in range(4 if len(asked) < 3 else 5)]}
        )

    expand_tree(tree(FOOD), ExpandSettings(novelty=0.2), asks(reply), under=["food.fruit"])
    assert len(asked) == 3  # 1 of 5 new is enough to go on, 1 of 6 is not
    asked.clear()
    expand_tree(tree(FOOD), ExpandSettings(novelty=0.2, rounds=2), asks(reply), under=["food.fruit"])
    assert len(asked) == 2


def test_a_failed_request_costs_only_its_node() -> None:
    def reply(messages: list[dict[str, Any]]) -> str:
        return "no" if "> Bread" in messages[1]["content"] else scripted(messages)

    grown = expand_tree(tree(FOOD), ExpandSettings(), asks(reply))
    assert len(grown.tree.children("food.fruit")) == 6 and grown.tree.children("food.bread") == []
    assert [(drop.gate, drop.key) for drop in grown.drops] == [("request", "food.bread#1")]


def test_what_was_paid_for_is_not_asked_again(tmp_path: Path) -> None:
    def run(server: StubServer, crash_after: int | None = None) -> Tree:
        endpoint = EndpointSettings(base_url=server.url, model="stub")

        def ask(tasks: Iterable[Task[Any]], number: int) -> Iterator[Done[Any] | Failed]:
            for done in ask_all(
                tasks, step="tree", store=tmp_path / "answers.sqlite", endpoints=[endpoint], total=number
            ):
                seen.append(done.key)
                if len(seen) == crash_after:
                    raise KeyboardInterrupt
                yield done

        seen: list[str] = []
        return expand_tree(tree(FOOD, ROADS), ExpandSettings(), ask).tree

    with StubServer(reply=lambda body: scripted(body["messages"])) as server:
        with pytest.raises(KeyboardInterrupt):
            run(server, crash_after=5)
        assert 5 <= server.requests < 10
        whole = run(server)
        assert server.requests == 4 + 3 + 3  # each request once over both runs
        again = run(server)
        assert server.requests == 10
    assert list(whole.nodes.values()) == list(again.nodes.values())


def test_wrong_places_are_refused() -> None:
    with pytest.raises(TreeError, match="no knowledge label 'drinks'"):
        expand_tree(tree(FOOD), ExpandSettings(), says(), under=["drinks"])
    with pytest.raises(TreeError, match="give 3"):
        expand_tree(tree(FOOD), ExpandSettings(), says(), levels=(2,))
    leaf = load_tree("knowledge").leaves[0]
    with pytest.raises(TreeError, match="is a leaf"):
        expand_tree(load_tree("knowledge"), ExpandSettings(), says(), under=[leaf])
