import pytest

from mindgpt_plugins.answers import extract_answer, strip_reasoning


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("answer: red", "red"),
        ("a red car and a bus. Answer:  two ", "two"),
        ("answer: red\nno, answer: blue", "blue"),
        (r"so \boxed{\frac{1}{2}} is it", r"\frac{1}{2}"),
        (r"answer: \boxed{4}", "4"),
        ("<answer> A </answer>", "A"),
        ("<answer>answer: A</answer>", "A"),
        ("**Answer: 7**", "7"),
        ("**Answer**: 7", "7"),
        ("**Answer:** 7", "7"),
        ("### Final Answer\n\n**7**", "7"),
        ("**Final answer**\n7", "7"),
        ("Answer:\n7", "7"),
        ("Answer：B", "B"),
        ("答案：B", "B"),
        ("所以答案是B。", "B"),
        ("答えは3です", "3です"),
        ("Antwort: rot", "rot"),
        ("La respuesta es 5.", "5"),
        ("Ответ: да", "да"),
        ("The answer is 5.", "5"),
        ("The answer is 3.5. Thank you.", "3.5"),
        ("The answer is E. coli.", "E. coli"),
        ("The final answer is: **red**", "red"),
        ("answer: red<|im_end|>", "red"),
        ("answer: $5", "$5"),
        ("answer: $5$", "5"),
        ("answer: *", "*"),
        ("The wrong answer: 5", None),
        ("answer:", None),
        ("Answerable: yes", None),
        ("red", None),
        ("", None),
        (r"\boxed{4", None),
    ],
)
def test_the_final_answer_of_a_reply(reply: str, answer: str | None):
    assert extract_answer(reply) == answer


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("<think>answer: 5</think>\nanswer: 6", "6"),
        ("<think>answer: 5</think> There are six.", None),
        ("<think>It may be answer: 5, but", None),
        ("the tag was in the prompt, answer: 5</think>answer: 6", "6"),
        ("answer: 4 <think>or answer: 5", None),
        ("<thinking>answer: 1</thinking><reasoning>answer: 2</reasoning> Answer: 3", "3"),
        ("[THINK]answer: 1[/THINK]answer: 2", "2"),
        ("if a < b, answer: a", "a"),
    ],
)
def test_nothing_inside_reasoning_is_an_answer(reply: str, answer: str | None):
    assert extract_answer(reply) == answer


def test_reasoning_ends_at_its_last_closing_tag():
    assert strip_reasoning("<think>a</think> b <think>c</think> d") == " d"
    assert strip_reasoning("<THINK>a") == ""
    assert strip_reasoning("no reasoning") == "no reasoning"


@pytest.mark.parametrize(
    ("reply", "kind", "answer"),
    [
        ("I looked.\nB", "choice", "B"),
        ("I looked.\n(B)", "choice", "(B)"),
        ("I looked.\nB. dog", "choice", "B. dog"),
        ("I looked.\nB", "text", None),
        ("A dog barks", "choice", None),
        ("故选：B", "choice", "B"),
        ('so:\n```json\n{"a":\n 1}\n```', "json", '{"a":\n 1}'),
        ('answer: {"a": 1} as in [2]', "json", '{"a": 1}'),
        ("answer: 5", "json", "5"),
        ("answer: five", "json", None),
        (r"\boxed{3} million", "number", "3 million"),
        (r"\boxed{3} million", "text", "3"),
        (r"\boxed{5}\text{ m} of rope", "unit", "5"),
        (r"\boxed{5}\text{ m}.", "unit", "5 m"),
        (r"\boxed{50}\%", "number", "50 %"),
        (r"\boxed{3} or \boxed{5}", "number", "3 or 5"),
        (r"first \boxed{3}. Then \boxed{5}", "number", "5"),
        ("<box>(1, 2), (3, 4)</box>", "box", "(1, 2), (3, 4)"),
        ("answer:\n[1, 2, 3, 4]", "box", "[1, 2, 3, 4]"),
    ],
)
def test_what_counts_depends_on_the_type(reply: str, kind: str, answer: str | None):
    assert extract_answer(reply, kind) == answer
