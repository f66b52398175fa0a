import numpy as np
import pytest

from mindgpt_plugins.answers import GoldError, as_gold, compare_answers, is_float_of_whole_number, parse_gold


def right(answer: str, gold, kind: str = "text", question: str = "") -> bool:
    return compare_answers(question, gold, answer, kind).right


def test_a_list_is_any_of_its_references():
    assert right("cat", ["cat", "feline"])
    assert right("Feline.", '["cat", "feline"]')
    assert not right("dog", ["cat", "feline"])
    assert not right("cat, feline", ["cat", "feline"])
    assert right("3", [3, 3.0], "number")
    assert right("4", {"any_of": [3, 4]}, "number")


@pytest.mark.parametrize("kind", ["text", "choice", "yesno", "number", "json"])
@pytest.mark.parametrize("gold", [float("nan"), None, np.float64("nan"), ["cat", float("nan")], ["cat", None]])
def test_an_empty_cell_of_a_table_is_no_gold_answer(gold, kind: str):
    if kind == "json" and isinstance(gold, list):
        pytest.skip("of JSON a list is the value itself")
    with pytest.raises(GoldError, match="empty|is neither yes nor no"):
        parse_gold(gold, kind)
    assert "nan" not in as_gold(gold).lower()


@pytest.mark.parametrize(
    ("gold", "kind", "told"),
    [
        (5.0, "text", True), ("5.0", "text", True), (" -12.0 ", "choice", True), (np.float32(2), "choice", True),
        (["cat", 2.0], "text", True), (5, "text", False), (5.5, "text", False), ("5.00", "text", False),
        ("v5.0", "text", False), ("5", "text", False), (True, "yesno", False), (5.0, "number", False),
        ("5.0", "unit", False), (float("nan"), "text", False), (float("inf"), "text", False), (None, "text", False),
    ],
)  # fmt: skip
def test_whole_numbers_that_a_table_made_floats_are_known(gold, kind: str, told: bool):
    assert is_float_of_whole_number(gold, kind) is told


@pytest.mark.parametrize(("gold", "reply"), [(5.0, "5"), ("5.0", "5"), ("5", "5.0"), ("1200.0", "1,200"), (-3.0, "-3")])
def test_a_whole_number_is_right_however_the_table_wrote_it(gold, reply: str):
    assert right(reply, gold)


def test_all_of_asks_for_exactly_them_in_any_order():
    gold = {"all_of": ["red", "green", "blue"]}
    assert right("blue, red and green", gold)
    assert not right("blue, red", gold)
    assert not right("blue, red, green, yellow", gold)
    assert not right("blue, red, red", gold)
    assert right("2 m and 30 cm", {"all_of": ["300 mm", "2 m"]}, "unit")


def test_a_list_of_options_is_all_of_them():
    question = "Which?\nA. cat\nB. dog\nC. fish"
    assert right("C, A", ["A", "C"], "choice", question)
    assert not right("A", ["A", "C"], "choice", question)
    assert right("A", {"any_of": ["A", "C"]}, "choice", question)


def test_json_and_boxes_are_lists_themselves():
    assert right('["a"]', ["a"], "json")
    assert not right('"a"', ["a"], "json")
    assert right("[10, 10, 20, 20]", [10, 10, 20, 20], "box")
    assert right("[[10, 10, 20, 20], [30, 30, 40, 40]]", [[10, 10, 20, 20], [30, 30, 40, 40]], "box")
    assert not right("1", "[1, 2]")


@pytest.mark.parametrize("gold", [[], ["cat", ""], {"any_of": []}, None, "", "  "])
def test_an_empty_gold_answer_is_an_error(gold):
    with pytest.raises(GoldError):
        parse_gold(gold, "text")


def test_every_reference_must_be_of_the_type():
    with pytest.raises(GoldError, match="'many'"):
        parse_gold(["3", "many"], "number")


@pytest.mark.parametrize(
    ("value", "gold"),
    [
        (5.0, "5"),
        (5, "5"),
        (2.5, "2.5"),
        (True, "true"),
        (None, ""),
        ("x", "x"),
        (["a", "b"], '{"any_of": ["a", "b"]}'),
    ],
)
def test_golds_from_tables_are_texts(value, gold: str):
    assert as_gold(value) == gold
