import pytest

from mindgpt_plugins.answers import GoldError, as_gold, compare_answers, parse_gold


def right(answer: str, gold, kind: str = "text", question: str = "") -> bool:
    return compare_answers(question, gold, answer, kind).right


def test_a_list_is_any_of_its_references():
    assert right("cat", ["cat", "feline"])
    assert right("Feline.", '["cat", "feline"]')
    assert not right("dog", ["cat", "feline"])
    assert not right("cat, feline", ["cat", "feline"])
    assert right("3", [3, 3.0], "number")
    assert right("4", {"any_of": [3, 4]}, "number")


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
