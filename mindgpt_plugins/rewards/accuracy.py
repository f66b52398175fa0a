"""Task reward: the final answer is right. Shares its parser with the evaluator. Source: ours."""

from __future__ import annotations

from mindgpt_plugins.rewards.answers import ANSWER_TYPES, extract_answer, match
from mindgpt_plugins.rewards.boxes import convert, overlaps, parse_boxes
from mindgpt_plugins.rewards.json_answer import last_json, same_json
from mindgpt_plugins.rewards.sdk import Rollout, Score, reward
from mindgpt_plugins.rewards.tolerance import Tolerance
from mindgpt_plugins.rewards.units import same_quantity


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
        rel_tol: numbers, quantities and JSON: share of the gold value (of 1 where that is smaller).
        abs_tol: the same in the gold answer's unit; the larger of the two counts.
        similarity: texts: least 1 - edit distance / length; 1 asks for equality after normalisation.
        unit_optional: quantities: a reply without a unit is in the gold answer's.
        unordered: JSON: lists are compared as multisets.
        min_iou: boxes: least overlap of every one.
        graded: boxes: the score is the mean overlap, with missing and superfluous boxes counted as 0.
        reply_boxes: convention the model answers in (``relative_1000``, ``relative_1``, ``pixels``), when it is not the
            gold answer's; ``pixels`` are those of the prompt's first picture.
        target_boxes: convention of the gold answer, when its row does not say it.

    Raises:
        ValueError: unknown answer type or convention, or a gold answer that is none of its type.
    """
    if r.type not in types:
        return None
    kind = compare or r.answer_type
    if kind not in ANSWER_TYPES:
        raise ValueError(f"unknown answer_type {kind!r}; it must be one of: {', '.join(ANSWER_TYPES)}")
    tolerance = Tolerance(rel_tol, abs_tol, min_iou, similarity)
    answer = extract_answer(r.text, kind)
    log = {"answer": answer or ""}
    if kind == "box":
        found = _overlaps(r, answer, reply_boxes, target_boxes)
        log |= {"iou": f"{sum(found) / len(found):.3f}"}
        right = all(value >= min_iou for value in found)
        return Score(sum(found) / len(found) if graded else float(right), log=log)
    if answer is None:
        return Score(0.0, log=log)
    if kind == "unit":
        return Score(float(same_quantity(answer, r.target, tolerance, unit_optional=unit_optional)), log=log)
    if kind == "json":
        return Score(float(same_json(answer, r.target, tolerance, unordered=unordered)), log=log)
    return Score(float(match(answer, r.target, kind, tolerance, question=r.prompt)), log=log)


def _overlaps(r: Rollout, answer: str | None, reply: str | None, target: str | None) -> list[float]:
    """Overlap of each pair of boxes; [0] when the reply states none."""
    target = target or r.boxes
    want = parse_boxes(r.target)
    if want is None:
        raise ValueError(f"gold answer {r.target!r} of sample {r.uid!r} is no box [x0, y0, x1, y1]")
    got = None if answer is None else parse_boxes(answer)
    if got is None and '"bbox' in r.text:  # grounding models answer in JSON over many lines
        got = parse_boxes(last_json(r.text) or "")
    if got is None:
        return [0.0]
    if reply is not None and reply != target:
        if target is None:
            raise ValueError(
                f"sample {r.uid!r}: reply_boxes is {reply!r}, but neither its row nor target_boxes says what "
                "coordinates the gold box has"
            )
        size = r.images()[0].size if "pixels" in (reply, target) else None
        got = convert(got, reply, target, size)
    return overlaps(got, want)
