import pytest

from mindgpt_plugins.rewards.accuracy import accuracy
from mindgpt_plugins.rewards.conciseness import conciseness
from mindgpt_plugins.rewards.diversity import diversity
from mindgpt_plugins.rewards.format import answer_format
from mindgpt_plugins.rewards.sdk import Group, Rollout


def group(*replies: tuple[str, float, int]) -> Group:
    return Group([Rollout(text, "x", length=n) for text, _, n in replies], [score for _, score, _ in replies])


def values(scores: list) -> list[float]:
    return [round(s.value, 6) for s in scores]


def test_accuracy():
    assert accuracy(Rollout("two cars. answer: two", "2", answer_type="number")).value == 1.0
    assert accuracy(Rollout("answer: red", "blue")).value == 0.0
    assert accuracy(Rollout("red", "red")).value == 0.0
    assert accuracy(Rollout("answer: red", "red", type="open")) is None


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("a red car. answer: red", 1.0),
        ("answer: red\n", 1.0),
        ("answer: red or answer: blue", 0.0),
        ("answer: red. that is all\nbye", 0.0),
        ("answer:", 0.0),
        ("red", 0.0),
        ("answer: one two three four five six seven eight nine", 0.0),
    ],
)
def test_format(text: str, good: float):
    assert answer_format(Rollout(text, "")).value == good


def test_conciseness_measures_from_the_shortest_correct_reply():
    got = conciseness(group(("", 1.0, 10), ("", 1.0, 30), ("", 1.0, 200), ("", 0.0, 5)), budget=40)
    assert values(got) == [0.0, 0.375, 0.75, 0.0]  # p̂ = 3/4; 20/40, capped at 1


def test_conciseness_has_a_floor():
    assert values(conciseness(group(("", 1.0, 10), ("", 1.0, 30)), budget=40, floor=20)) == [0.0, 0.25]


def test_conciseness_needs_a_budget():
    with pytest.raises(ValueError, match="budget must be positive, got 0"):
        conciseness(group(("", 1.0, 1)), budget=0)


def test_diversity_counts_ngrams_of_its_own():
    same, other = "the car is on the left", "i see a red bus there"
    assert values(diversity(group((same, 1.0, 1), (same, 1.0, 1), (other, 1.0, 1)))) == [0.0, 0.0, 1.0]


def test_a_lone_correct_reply_and_wrong_ones_get_no_diversity():
    assert values(diversity(group(("a b c d e", 1.0, 1), ("f g h i j", 0.0, 1)))) == [0.0, 0.0]


def test_a_short_reply_is_one_ngram():
    assert values(diversity(group(("red", 1.0, 1), ("blue", 1.0, 1), ("", 1.0, 1)))) == [1.0, 1.0, 0.0]
