"""Task reward: the final answer is right. Its verdict is the evaluator's and the data gates' too. Source: ours."""

from __future__ import annotations

from functools import partial

from mindgpt_plugins.answers import JudgeOptions, judge_answer
from mindgpt_plugins.rewards.sdk import Rollout, Score, reward


@reward
def accuracy(
    r: Rollout,
    *,
    types: tuple[str, ...] = ("verifiable", "adversarial"),
    compare: str | None = None,
    rel_tol: float = 1e-6,
    abs_tol: float = 0.0,
    similarity: float = 1.0,
    unit_optional: bool = False,
    unordered: bool = False,
    min_iou: float = 0.5,
    graded: bool = False,
    reply_boxes: str | None = None,
    target_boxes: str | None = None,
) -> Score | None:
    """1 when the reply's final answer matches the gold one, else 0; not scored for other prompt types.

    Args:
        r: the reply.
        types: prompt types it scores; ``open`` prompts need a judge.
        compare: how, instead of the row's own answer type: text, number, choice, yesno, box,
            unit, json or math.
        rel_tol: numbers, quantities and JSON: share of the gold value. Whole numbers are compared exactly unless this
            or abs_tol is raised.
        abs_tol: the same in the gold answer's unit; the larger of the two counts.
        similarity: texts: least 1 - edit distance / length; 1 asks for equality after normalisation.
        unit_optional: quantities: a reply without a unit is in the gold answer's.
        unordered: JSON: lists are compared as multisets.
        min_iou: boxes: least overlap of every one.
        graded: boxes: the score is the mean overlap, with missing and superfluous boxes counted as 0.
        reply_boxes: convention the model answers in (``relative_1000``, ``relative_1``, ``pixels``, ``xywh``,
            ``coco``), when it is not the gold answer's; ``pixels`` and ``coco`` are those of the prompt's first
            picture.
        target_boxes: convention of the gold answer, when its row does not say it.

    Raises:
        ValueError: unknown answer type or convention, or a gold answer that is none of its type.
    """
    if r.type not in types:
        return None
    options = JudgeOptions(
        rel_tol, abs_tol, similarity, unit_optional, unordered, min_iou, graded, reply_boxes, target_boxes or r.boxes,
        partial(_picture_size, r),
    )  # fmt: skip
    verdict = judge_answer(r.prompt, r.target, r.text, compare or r.answer_type, options)
    log = {"answer": verdict.answer or "", "ambiguous": int(verdict.ambiguous)}
    if verdict.iou is not None:
        log["iou"] = f"{verdict.iou:.3f}"
    return Score(verdict.score, log=log)


def _picture_size(r: Rollout) -> tuple[int, int]:
    width, height = r.images()[0].size
    return width, height
