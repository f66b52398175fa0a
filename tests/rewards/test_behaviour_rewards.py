import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindgpt_plugins.rewards.diversity_embedding import diversity_embedding
from mindgpt_plugins.rewards.fabrication import fabrication
from mindgpt_plugins.rewards.language import language
from mindgpt_plugins.rewards.overlong import overlong
from mindgpt_plugins.rewards.refusal import refusal
from mindgpt_plugins.rewards.repetition import repetition
from mindgpt_plugins.rewards.sdk import Group, Rollout
from mindgpt_plugins.rewards.suite import RewardConfig, Suite

BLANK = "unanswerable: the picture is blank"
COVERED = "unanswerable: the part of the picture that it is about is covered"
ABSENT = "unanswerable: there is no stop sign in the picture"


def adversarial(text: str, target: str, uid: str = "") -> Rollout:
    return Rollout(text, target, type="adversarial", uid=uid)


# --- refusal and fabrication


@pytest.mark.parametrize(
    ("text", "target", "value"),
    [
        # the right reason
        (f"The picture is blank. answer: {BLANK}", BLANK, 1.0),
        ("answer: unanswerable: it is all grey, nothing is shown", BLANK, 1.0),
        (f"answer: {COVERED}", COVERED, 1.0),
        ("answer: unanswerable, a grey box hides it: the sign is hidden", COVERED, 1.0),
        (f"answer: {ABSENT}", ABSENT, 1.0),
        ("answer: there are no stop signs", ABSENT, 1.0),
        ("I see no stop sign here. answer: unanswerable", ABSENT, 1.0),
        # a reason is a refusal without the word
        ("answer: the picture is blank", BLANK, 1.0),
        ("answer: no stop sign", ABSENT, 1.0),
        ("answer: the stop sign is not in the picture", ABSENT, 1.0),
        ("answer: the sign is completely hidden", COVERED, 1.0),
        # refused for another reason, or for none
        ("answer: unanswerable", BLANK, 0.3),
        (f"answer: {COVERED}", BLANK, 0.3),
        (f"answer: {BLANK}", ABSENT, 0.3),
        ("answer: unanswerable: there is no car in the picture", ABSENT, 0.3),
        ("answer: I cannot tell", COVERED, 0.3),
        ("I'm sorry, I can't answer that.", COVERED, 0.3),
        # all reasons at once do not count
        ("answer: unanswerable: it is blank, or covered, or there is no stop sign", BLANK, 0.3),
        ("answer: unanswerable: it is blank, or covered, or there is no stop sign", ABSENT, 0.3),
        # invented
        ("answer: red", BLANK, -1.0),
        ("answer: the cup is empty", BLANK, -1.0),
        ("answer: the picture is red", BLANK, -1.0),
        ("answer: no", BLANK, -1.0),
        ("answer: red, no stop sign", ABSENT, -1.0),
        ("It is hard to see, I cannot be sure. answer: red", ABSENT, -1.0),
        # neither
        ("the picture shows", BLANK, 0.0),
        ("", ABSENT, 0.0),
    ],
)
def test_unanswerable_prompts(text: str, target: str, value: float):
    assert refusal(adversarial(text, target)).value == pytest.approx(value)


def test_the_kind_may_come_from_the_uid():
    told = "answer: unanswerable: the picture is empty"
    assert refusal(adversarial(told, "unanswerable", "blank-12ab")).value == 1.0
    assert refusal(adversarial(told, "unanswerable", "covered-12ab")).value == 0.3
    assert refusal(adversarial("answer: unanswerable: it is another picture", ABSENT, "swapped-1")).value == 1.0


def test_reasons_of_ones_own_are_compared_by_their_words():
    target = "unanswerable: the label has faded completely"
    assert refusal(adversarial("answer: unanswerable: the label is faded", target)).value == 1.0
    assert refusal(adversarial("answer: unanswerable: too dark", target)).value == 0.3


@pytest.mark.parametrize(
    ("text", "value"),
    [("answer: red", 1.0), ("answer: blue", 0.0), ("answer: unanswerable: it is blank", -0.25), ("hm", 0.0)],
)
def test_answerable_prompts(text: str, value: float):
    assert refusal(Rollout(text, "red")).value == value
    assert refusal(Rollout(text, "red", type="open")) is None


def test_a_gold_answer_that_sounds_like_a_refusal_is_an_answer():
    assert refusal(Rollout("answer: unknown", "unknown")).value == 1.0
    assert refusal(Rollout("answer: nothing", "nothing")).value == 1.0


def test_the_table_survives_the_suite_and_its_gates():
    s = Suite({"refusal": RewardConfig(), "format": RewardConfig()})
    assert s.score_sample(Rollout("answer: unanswerable", "red")).score == -0.25
    assert s.score_sample(adversarial("answer: red", BLANK)).score == -1.0
    assert s.score_sample(adversarial("answer: red or so\nbye", BLANK)).score == -1.0
    assert s.score_sample(adversarial(f"answer: {BLANK}\nbye", BLANK)).score == 0.0


def test_fabrication_scores_only_inventions():
    assert fabrication(adversarial("answer: red", BLANK)).value == -1.0
    assert fabrication(adversarial("answer: unanswerable", BLANK)) is None
    assert fabrication(adversarial("hm", BLANK)) is None
    assert fabrication(Rollout("answer: red", "blue")) is None


@given(st.text(max_size=80), st.sampled_from([BLANK, COVERED, ABSENT, "red"]))
def test_every_text_has_a_place_in_the_table(text: str, target: str):
    allowed = {0.0, 1.0, -0.25} if target == "red" else {-1.0, 0.0, 0.3, 1.0}
    assert refusal(Rollout(text, target)).value in allowed


# --- repetition, language, overlong


def test_repetition_is_zero_for_prose_and_near_one_for_a_loop():
    prose = "a red car stands left of two blue buses in front of the old town hall. answer: red"
    assert repetition(Rollout(prose, "")).value == 0.0
    assert repetition(Rollout("the car is red and so " * 100, "")).value > 0.98
    assert repetition(Rollout("红色的汽车在左边" * 60, "")).value > 0.95
    assert repetition(Rollout("", "")).value == 0.0


def test_repetition_counts_what_is_beyond_the_allowed():
    # 12 words twice: 24 - 6 + 1 = 19 six-grams, 12 distinct (cyclic), so 7/19 repeat
    words = " ".join(f"w{i}" for i in range(12))
    assert repetition(Rollout(f"{words} {words}", ""), allowed=0.1).value == pytest.approx((7 / 19 - 0.1) / 0.9)
    with pytest.raises(ValueError, match="ngram must be positive"):
        repetition(Rollout("", ""), ngram=0)


@given(st.text(max_size=200), st.integers(1, 8))
def test_repetition_stays_in_range_and_grows_with_a_copy(text: str, ngram: int):
    once = repetition(Rollout(text, ""), ngram=ngram, allowed=0.0).value
    thrice = repetition(Rollout(f"{text} {text} {text}", ""), ngram=ngram, allowed=0.0).value
    assert 0.0 <= once <= thrice + 1e-12 <= 1.0


@pytest.mark.parametrize(
    ("prompt", "text", "value"),
    [
        ("What colour?", "It is a red car. answer: red", 1.0),
        ("What colour?", "这是一辆红色的汽车 answer: red", 0.0),
        ("What colour?", "The sign says 红 and nothing else at all. answer: 红", 1.0),
        ("什么颜色?", "这辆车是红色的。answer: 红色", 1.0),
        ("什么颜色?", "The car is red. answer: red", 0.0),
        ("何色ですか?", "赤い車です。answer: 赤", 1.0),
        ("Какой цвет?", "Красный. answer: красный", 1.0),
        ("Which angle?", r"answer: $\alpha + \beta$ = 42", None),
        ("What colour?", "42", None),
        ("1 + 1 = ?", "two", None),
    ],
)
def test_language(prompt: str, text: str, value: float | None):
    got = language(Rollout(text, "", prompt=prompt))
    assert (None if got is None else got.value) == value


def test_scripts_may_be_given():
    assert language(Rollout("It is red", "", prompt="什么颜色?"), scripts=["latin"]).value == 1.0
    with pytest.raises(ValueError, match="unknown script ENGLISH"):
        language(Rollout("It is red", ""), scripts=["English"])


def test_overlong_falls_linearly():
    values = [overlong(Rollout("", "", length=n), limit=100, soft=20).value for n in (0, 80, 90, 95, 100, 120)]
    assert values == pytest.approx([1.0, 1.0, 0.5, 0.25, 0.0, 0.0])
    with pytest.raises(ValueError, match="0 < soft <= limit"):
        overlong(Rollout("", ""), limit=10, soft=0)


@given(st.integers(0, 300), st.integers(0, 300), st.floats(0.01, 0.99))
def test_a_right_overlong_reply_still_beats_a_wrong_short_one(a: int, b: int, weight: float):
    options = {"limit": 200, "soft": 50}
    s = Suite({"accuracy": RewardConfig(), "overlong": RewardConfig(weight=weight, options=options)})
    right = s.score_sample(Rollout("answer: red", "red", length=a)).score
    wrong = s.score_sample(Rollout("answer: blue", "red", length=b)).score
    assert right > 0.5 > wrong


# --- diversity by meaning


def test_embedding_diversity():
    texts = ["the car is red", "the car is red", "gravity pulls planets together", "wrong"]
    scores = diversity_embedding(Group([Rollout(t, "") for t in texts], [1.0, 1.0, 1.0, 0.0]))
    a, b, c, wrong = [s.value for s in scores]
    assert a == pytest.approx(b) and c > a > 0 and wrong == 0
    lone = diversity_embedding(Group([Rollout("a b", ""), Rollout("c", "")], [1.0, 0.0]))
    assert [s.value for s in lone] == [0.0, 0.0]
    same = diversity_embedding(Group([Rollout("a red car", "")] * 3, [1.0] * 3))
    assert [s.value for s in same] == pytest.approx([0.0] * 3, abs=1e-6)
