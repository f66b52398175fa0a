import pytest

from mindgpt_plugins.answers import GoldError, compare_answers, options_of, parse_gold

VEHICLES = "Which vehicle is it?\n(A) a red car (B) a bus\n(C) the tram"
ANIMALS = "Which animal?\nA. cat\nB. dog\nC. red, white and blue\nD. the fish"


@pytest.mark.parametrize(
    ("question", "options"),
    [
        (VEHICLES, {"a": "red car", "b": "bus", "c": "tram"}),
        ("Pick.\nA. one\nB. two", {"a": "one", "b": "two"}),
        ("A) 1.5, B) 2.5, C) 3", {"a": "1.5", "b": "2.5", "c": "3"}),
        ("(A) red, white and blue (B) green", {"a": "red white and blue", "b": "green"}),
        ("哪一个？A．猫 B．狗", {"a": "猫", "b": "狗"}),
        ("Какой? А) кот Б) пёс", {"а": "кот", "б": "пёс"}),
        ("Which?\n1. cat\n2. dog\nAnswer with the number.", {"1": "cat", "2": "dog"}),
        ("① red ② blue", {"1": "red", "2": "blue"}),
        ("A. E. coli B. S. aureus", {"a": "e coli", "b": "s aureus"}),
        ("Options:\nA: cat\nB: dog\n\nAnswer with a letter.", {"a": "cat", "b": "dog"}),
        ("A. 2\nB. 3\nC. A and B", {"a": "2", "b": "3", "c": "a and b"}),
        ("**A.** cat\n**B.** dog", {"a": "cat", "b": "dog"}),
        ("What did Mr. X. say?", {}),
        ("Is vitamin C. good?", {}),
        ("", {}),
    ],
)
def test_options_are_read_from_the_question(question: str, options: dict):
    assert options_of(question) == options


def right(got: str, want: str, question: str = "") -> bool:
    return compare_answers(question, want, got, "choice").right


@pytest.mark.parametrize(
    ("got", "want", "question", "same"),
    [
        ("(B) bus", "B", "", True), ("b.", "B", "", True), (r"\text{B}", "B", "", True), ("Option B", "B", "", True),
        ("bus", "B", "", False), ("E. coli", "E. coli", "", True), ("E. faecalis", "E. coli", "", False),
        ("left", "left", "", True), ("right", "left", "", False), ("2", "2.0", "", True), ("B or C", "B", "", False),
        ("C, A", "A, C", "", True), ("A, C", "AC", "", True), ("A and C", "A, C", "", True), ("C", "A, C", "", False),
        ("A, C", "C", "", False), ("B, C", "A, B, C", "", False),
        ("bus", "B", VEHICLES, True), ("B", "bus", VEHICLES, True), ("a bus", "(B)", VEHICLES, True),
        ("tram", "B", VEHICLES, False), ("red car", "A", VEHICLES, True),
        ("B (dog)", "B", ANIMALS, True), ("B. dog", "B", ANIMALS, True), ("B. cat", "B", ANIMALS, False),
        ("red, white and blue", "C", ANIMALS, True), ("BA", "A, B", ANIMALS, True), ("cat and dog", "A, B", ANIMALS,
        True),
        ("B or D", "B", ANIMALS, False), ("not B", "B", ANIMALS, False), ("A, B", "A", ANIMALS, False),
        ("B, because it barks", "B", ANIMALS, True), ("neither", "B", ANIMALS, False), ("Boat", "B", ANIMALS, False),
        ("选B", "B", ANIMALS, True), ("both A and B", "A,B", ANIMALS, True), ("D. fish", "D", ANIMALS, True),
    ],
)  # fmt: skip
def test_options_are_compared_as_sets(got: str, want: str, question: str, same: bool):
    assert right(got, want, question) is same


def test_a_gold_answer_outside_the_options_is_an_error():
    with pytest.raises(GoldError, match="'E' of answer_type 'choice' is none of the options"):
        parse_gold("E", "choice", question=ANIMALS)
    with pytest.raises(GoldError, match="none of the options"):
        parse_gold("horse", "choice", question=ANIMALS)


def test_two_options_with_one_text_are_told_apart_by_their_letters_only():
    question = "Which?\nA. cat\nB. cat\nC. dog"
    assert right("A", "A", question)
    assert not right("cat", "A", question)
