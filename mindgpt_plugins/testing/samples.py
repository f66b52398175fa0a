"""Replies that a reward must get along with, whatever it measures."""

from __future__ import annotations

from dataclasses import replace

from mindgpt_plugins.rewards.sdk import Group, Rollout

LONG = 200_000
"""Characters of the very long reply; a policy that loops fills its whole budget."""

_PLAIN = Rollout(
    text="There is a red car left of a bus. answer: red",
    target="red",
    prompt="What colour is the car?",
    source="contract",
    labels={"knowledge": "general.traffic", "capability": "perception.colour"},
    length=14,
    token_ids=tuple(range(14)),
    uid="contract-1",
    step=3,
    progress=0.5,
)

_REPLIES = {
    "right": "There is a red car left of a bus. answer: red",
    "wrong": "There is a blue car. answer: blue",
    "empty": "",
    "blanks": " \n\t ",
    "no answer": "I am looking at the picture and",
    "many answers": "answer: red\nanswer: blue\nanswer: 3",
    "unicode": "红色的车 🚗 é\u0301 \u202e \x00 ﬁ ٣ answer: красный",
    "markup": 'so \\boxed{\\frac{1}{2}} <answer>{"a": [1, {"b": "}"}]}</answer> ```json\n[{"bbox_2d": [1, 2, 3]}]```',
    "numbers": "1e999 -0.0 nan inf 1/0 9^{9^9} answer: 12,34.5.6",
    "refusal": "answer: unanswerable: the picture is blank",
    "special tokens": "answer: red<|im_end|><|vision_start|>",
    "loop": "red car " * (LONG // 8),
    "brackets": "(" * LONG,
    "articles": "a " * (LONG // 2),
    "open boxes": "\\boxed{" * (LONG // 7),
    "open tags": "</answer>" + "<answer>" * (LONG // 8),
}

_TARGETS = {
    "text": "red", "number": "3", "choice": "B", "yesno": "yes", "box": "[10, 20, 110, 220]", "unit": "5 m",
    "json": '{"a": [1, 2]}', "math": "\\frac{1}{2}",
}  # fmt: skip


def make_sample_rollouts() -> dict[str, Rollout]:
    """Name → one reply of every sort, then prompts of every type and answer type."""
    found = {name: replace(_PLAIN, text=text, length=len(text.split()) + 1) for name, text in _REPLIES.items()}
    for kind, target in _TARGETS.items():
        found[f"answer type {kind}"] = replace(_PLAIN, answer_type=kind, target=target, text=f"answer: {target}")
    found["open"] = replace(_PLAIN, type="open", target="")
    found["adversarial"] = replace(
        _PLAIN, type="adversarial", target="unanswerable: the picture is blank", uid="blank-1"
    )
    found["first step"] = replace(_PLAIN, step=1, progress=0.0)
    found["bare"] = Rollout(text="answer: red", target="red")
    return found


def make_sample_groups() -> dict[str, Group]:
    """Name → groups of every shape."""
    texts = list(_REPLIES.values())
    replies = [replace(_PLAIN, text=text, length=len(text.split()) + 1) for text in texts]
    return {
        "mixed": Group(replies, [float(i % 2 == 0) for i in range(len(replies))]),
        "all correct": Group(replies, [1.0] * len(replies)),
        "all wrong": Group(replies, [0.0] * len(replies)),
        "one reply": Group(replies[:1], [1.0]),
        "equal replies": Group([_PLAIN] * 4, [1.0] * 4),
        "empty replies": Group([replace(_PLAIN, text="", length=0, token_ids=())] * 3, [1.0, 0.0, 1.0]),
        "graded": Group(replies[:3], [0.2, 0.5, 0.9]),
    }
