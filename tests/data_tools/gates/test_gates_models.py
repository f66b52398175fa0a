"""Gates that ask a model: what they send, what they keep, what they say."""

import json
from pathlib import Path
from typing import Any

import pytest
from mindgpt_data.client.request import Answer, Request
from mindgpt_data.gates.agreement import agreement
from mindgpt_data.gates.judge import judge
from mindgpt_data.gates.necessity import compute_cross_entropy, necessity
from support.gate_helpers import batch, pictures_in, row, text_of


def grades(*values: int, problem: str = "") -> list[str]:
    names = ("correctness", "grounding", "clarity", "answerability")
    return [json.dumps(dict(zip(names, values, strict=True)) | {"problem": problem})]


def verdicts(found: Any) -> dict[str, str | None]:
    return {verdict.uid: verdict.reason for verdict in found}


def test_judge_keeps_by_lowest_and_mean_grade_and_sees_the_picture(tmp_path: Path) -> None:
    said = {"a": grades(5, 5, 4, 4), "b": grades(5, 5, 5, 2), "c": grades(4, 4, 4, 3), "d": RuntimeError("HTTP 500")}
    rows = batch(tmp_path, [row(u, f"{u}.png") for u in said], lambda r: said[text_of(r).split("vehicle ")[1][0]])
    found = {v.uid: v for v in judge(rows)}
    assert {u: v.reason for u, v in found.items()} == {
        "a": None, "b": "answerability below 3", "c": "mean grade below 4", "d": "no verdict: HTTP 500",
    }  # fmt: skip
    assert "answerability 2" in found["b"].detail
    assert all(pictures_in(r) == 1 and r.schema is not None for r in rows.ask.requests)
    assert rows.facts["mean grades"]["correctness"] == pytest.approx(14 / 3, abs=1e-3)
    assert verdicts(judge(rows, least=2, mean=3.5))["b"] is None


def test_judge_leaves_adversarial_rows_and_videos_alone_and_says_so(tmp_path: Path) -> None:
    rows = batch(tmp_path, [row("a", type="adversarial", twin_uid="b"), row("b", video=["v.mp4"])])
    assert list(judge(rows)) == []
    assert "2 rows" in rows.notes[0]


def test_an_answer_outside_the_scales_is_no_verdict(tmp_path: Path) -> None:
    rows = batch(tmp_path, [row("a")], lambda r: grades(5, 5, 5, 9))
    assert next(iter(judge(rows))).reason.startswith("no verdict: ")


def right(share: int, of: int = 8) -> list[str]:
    return ["so answer: 4"] * share + ["answer: 5"] * (of - share)


def test_agreement_for_sft_keeps_what_the_teacher_agrees_with(tmp_path: Path) -> None:
    shares = {"a": 8, "b": 4, "c": 3, "d": 0}
    rows = batch(tmp_path, [row(u) for u in shares], lambda r: right(shares[text_of(r).split("vehicle ")[1][0]]))
    found = {v.uid: v for v in agreement(rows)}
    assert {u: v.reason is None for u, v in found.items()} == {"a": True, "b": True, "c": False, "d": False}
    assert {u: v.difficulty for u, v in found.items()} == {"a": 0.0, "b": 0.5, "c": 0.625, "d": 1.0}
    assert rows.solved["b"] == 0.5
    assert all(r.n == 8 and r.temperature == 1.0 and "answer: X" in text_of(r) for r in rows.ask.requests)


def test_agreement_for_rl_keeps_what_is_solved_sometimes_and_asks_the_hard_pool_again(tmp_path: Path) -> None:
    first = {"a": 8, "b": 1, "c": 0, "d": 0}
    second = {"c": 2, "d": 0}

    def reply(request: Request) -> list[str]:
        uid = text_of(request).split("vehicle ")[1][0]
        return right(second[uid], 16) if request.n == 16 else right(first[uid])

    rows = batch(tmp_path, [row(u) for u in first], reply)
    found = {v.uid: v for v in agreement(rows, purpose="rl")}
    assert {u: v.reason for u, v in found.items()} == {"a": "always solved", "b": None, "c": None, "d": "never solved"}
    assert found["c"].difficulty == pytest.approx(1 - 2 / 24, abs=1e-4)
    assert rows.facts["hard pool"] == {"asked again": 2, "kept": 1}
    assert "no endpoints.solver is set" in rows.notes[0]
    assert len(set(rows.ask.keys)) == len(rows.ask.keys) == 6
    assert rows.pairs == dict.fromkeys("bc", ("so answer: 4", "answer: 5"))


def test_agreement_measures_only_what_can_be_matched_and_refuses_nonsense(tmp_path: Path) -> None:
    rows = batch(tmp_path, [row("a", type="open"), row("b")], lambda r: right(1, 1))
    found = {v.uid: v for v in agreement(rows)}
    assert list(found) == ["b"]
    assert "ignores n" in found["b"].reason
    assert "1 rows" in rows.notes[0]
    with pytest.raises(ValueError, match="purpose 'dpo'"):
        list(agreement(rows, purpose="dpo"))  # type: ignore[arg-type]


def test_necessity_drops_what_is_answered_blind(tmp_path: Path) -> None:
    blind = {"a": 2, "b": 6, "c": 5}
    rows = batch(
        tmp_path,
        [row("a"), row("b"), row("c"), row("k", capability="knowledge.sign")],
        lambda r: right(8) if pictures_in(r) else right(blind[text_of(r).split("vehicle ")[1][0]]),
    )
    rows.solved["c"] = 5 / 8
    found = verdicts(necessity(rows))
    assert found == {"a": None, "b": None, "c": "answered blind"}
    assert "cross-entropy not measured" in rows.notes[0]
    seen = [text_of(r) for r in rows.ask.requests if pictures_in(r)]
    assert len(seen) == 2  # c was measured by an earlier gate, k is no perception topic


def scored(*tokens: tuple[str, float]) -> Answer:
    return Answer(("",), logprobs=(tuple({"token": t, "logprob": p, "top": {}} for t, p in tokens),))


def test_necessity_by_cross_entropy(tmp_path: Path) -> None:
    worth = {"a": 0.2, "b": 0.01}

    def reply(request: Request) -> Answer | list[str]:
        if not request.scored:
            return right(8) if pictures_in(request) else right(0)
        uid = text_of(request).split("vehicle ")[1][0]
        assert request.messages[-1] == {"role": "assistant", "content": "answer: 4"}
        loss = 1.0 - (worth[uid] if pictures_in(request) else 0)
        return scored(("<image>", -9.0), ("answer", -1.0), (":", -1.0), (" 4", -loss))

    rows = batch(tmp_path, [row(u) for u in worth], reply, endpoint={"logprobs": True})
    found = verdicts(necessity(rows))
    assert found == {"a": None, "b": "picture does not make the answer likelier"}
    assert rows.facts["mean gain in nats per token"] == pytest.approx(0.105)


def test_cross_entropy_reads_only_the_answer_s_tokens() -> None:
    answer = scored(("x", -50.0), ("answer:", -3.0), (" dark", -1.0), (" red", -2.0))
    assert compute_cross_entropy(answer, "dark red") == pytest.approx(1.5)
    with pytest.raises(ValueError, match="not the answer"):
        compute_cross_entropy(answer, "blue")
    with pytest.raises(ValueError, match="no prompt_logprobs"):
        compute_cross_entropy(Answer(("",)), "red")
