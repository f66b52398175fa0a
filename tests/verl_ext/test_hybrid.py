import json
import math
from dataclasses import replace

import pytest

from mindgpt_plugins.advantage.call import AdvantageError
from mindgpt_plugins.advantage.config import AdvantageConfig
from mindgpt_plugins.rewards.sdk import Rollout
from mindgpt_plugins.rewards.suite import RewardConfig, Suite
from mindgpt_plugins.verl_ext.step.hybrid import Hybrid, RolloutError, refuse_errors
from mindgpt_plugins.verl_ext.step.scored_reply import ScoredReply

pytestmark = pytest.mark.filterwarnings("ignore:groups of")


def hybrid(**advantage) -> Hybrid:
    rewards = {"accuracy": {}, "conciseness": {"weight": 0.2, "options": {"budget": 10}}}
    suite = Suite({name: RewardConfig.model_validate(config) for name, config in rewards.items()})
    return Hybrid(suite, AdvantageConfig.model_validate({"lambda": 0.5, **advantage}))


def suite_of(**rewards) -> Suite:
    return Suite({name: RewardConfig.model_validate(config) for name, config in rewards.items()})


def told(group: str, session: int, text: str, target: str, score: float, kind: str = "verifiable") -> ScoredReply:
    return ScoredReply(
        group, session, Rollout(text, target, type=kind, length=5, uid=group), score, {"accuracy": score}
    )


def replies(*groups: list[tuple[float, int]]) -> list[ScoredReply]:
    return [
        ScoredReply(f"g{g}", s, Rollout("t", "t", length=length, uid=f"{g}-{s}"), score, {"accuracy": score})
        for g, group in enumerate(groups)
        for s, (score, length) in enumerate(group)
    ]


def test_rows_keep_their_place_whatever_the_order_of_groups():
    batch = replies([(1.0, 5), (0.0, 5), (0.0, 5), (0.0, 9)], [(1.0, 5), (1.0, 9), (0.0, 1), (0.0, 1)])
    plain = hybrid().run(batch)
    mixed = [batch[i] for i in (5, 0, 7, 2, 1, 6, 3, 4)]
    shuffled = hybrid().run(mixed)
    assert [shuffled.advantages[mixed.index(reply)] for reply in batch] == pytest.approx(plain.advantages)
    assert shuffled.components[0]["conciseness"] == pytest.approx(0.5 * 4 / 10)


def test_figures():
    step = hybrid(k=2).run(replies([(1.0, 5), (0.0, 5)], [(1.0, 5), (1.0, 15)], [(0.0, 3), (0.0, 4)]))
    figures = step.metrics
    assert figures["group/pass@1"] == 0.5
    assert figures["group/pass@2"] == pytest.approx(2 / 3)
    assert (figures["group/all_correct"], figures["group/all_wrong"]) == pytest.approx((1 / 3, 1 / 3))
    assert figures["reward/accuracy/mean"] == 0.5
    assert figures["advantage/order_violations"] == 0.0
    assert figures["advantage/lambda"] == 0.5
    assert 0 < figures["advantage/share/conciseness"] < 1
    assert figures["advantage/share/pass_at_k"] > 0


def test_the_share_of_ambiguous_verdicts_is_a_figure_where_a_reward_logs_them():
    batch = replies([(1.0, 5), (0.0, 5)], [(0.0, 3), (0.0, 4)])
    assert "reward/accuracy/ambiguous" not in hybrid().run(batch).metrics
    logged = [replace(one, log={"accuracy.ambiguous": int(i == 1)}) for i, one in enumerate(batch)]
    assert hybrid().run(logged).metrics["reward/accuracy/ambiguous"] == 0.25


def test_a_missing_sibling_makes_a_ragged_group():
    with pytest.warns(UserWarning, match="smaller than k=4"):
        step = hybrid().run(replies([(1.0, 5), (0.0, 5), (0.0, 5), (1.0, 5)], [(1.0, 5), (0.0, 5)]))
    assert len(step.advantages) == 6
    assert sum(step.advantages[4:]) == pytest.approx(0.0)


def test_other_advantages_by_name():
    batch = replies([(1.0, 5), (0.0, 5), (0.0, 5), (0.0, 5)])
    grpo = hybrid(name="grpo", options={"norm_by_std": False}).run(batch).advantages
    assert grpo == pytest.approx([0.75, -0.25, -0.25, -0.25])
    with pytest.raises(ValueError, match="no advantage 'grop'; did you mean 'grpo'"):
        hybrid(name="grop")
    with pytest.raises(ValueError, match="no option 'norm'"):
        hybrid(name="grpo", options={"norm": True})
    with pytest.raises(ValueError, match="must stay in"):
        hybrid(**{"lambda": 1.5})


def test_a_failed_reward_stops_the_step_with_sample_and_traceback():
    error = json.dumps({"cause": "ZeroDivisionError: x", "sample": {"uid": "r1", "reply": "hm"}, "traceback": "tb\n"})
    with pytest.raises(RolloutError, match=r"(?s)failed on 1 of 2 replies.*ZeroDivisionError.*r1.*No update was made"):
        refuse_errors(["", error])
    refuse_errors(["", ""])


MIXED = [(1.0, 5), (0.0, 5), (0.0, 5), (0.0, 9)]


def test_perception_weights_multiply_after_centring():
    batch = replies(MIXED, [(1.0, 5), (1.0, 9), (0.0, 1), (0.0, 1)])
    alpha = [0.9 + 0.05 * i for i in range(8)]
    plain, step = hybrid().run(batch), hybrid().run(batch, alpha=alpha)
    assert step.advantages == pytest.approx([a * w for a, w in zip(plain.advantages, alpha, strict=True)])
    figures = step.metrics
    assert [figures[f"advantage/alpha_{n}"] for n in ("mean", "min", "max")] == pytest.approx([1.075, 0.9, 1.25])
    residual = sum(abs(sum(step.advantages[i : i + 4])) for i in (0, 4)) / 2
    assert figures["advantage/alpha_residual"] == pytest.approx(residual)
    assert residual > 0.01
    pushed = sum(abs(a - b) for a, b in zip(step.advantages, plain.advantages, strict=True))
    assert figures["advantage/share/alpha"] == pytest.approx(pushed / sum(map(abs, step.advantages)))
    assert not any("alpha" in name for name in plain.metrics)
    even = hybrid().run(batch, alpha=[1.0] * 8)
    assert even.advantages == plain.advantages


@pytest.mark.parametrize(
    ("alpha", "says"), [([1.0] * 3, "3 perception weights for 4 replies"), ([1.0, 1.0, 1.0, math.nan], "finite")]
)
def test_unusable_perception_weights(alpha: list[float], says: str):
    with pytest.raises(RolloutError, match=says):
        hybrid().run(replies(MIXED), alpha=alpha)


def test_adversarial_prompts_have_lambda_zero():
    def advantages(kind: str) -> list[float]:
        return hybrid(**{"lambda": 1.0}).run([told("g", i, "t", "t", float(i == 0), kind) for i in range(8)]).advantages

    assert advantages("adversarial") == pytest.approx([0.875] + [-0.125] * 7)
    assert advantages("verifiable") == pytest.approx([2.0] + [-2 / 7] * 7)


def test_the_group_filter_drops_silent_groups_and_most_all_correct_ones():
    groups = [MIXED, [(0.0, 5)] * 4] + [[(1.0, 5), (1.0, 5), (1.0, 15), (1.0, 5)] for _ in range(200)]
    batch = [
        ScoredReply(r.group, r.session, Rollout("t", "t", length=r.rollout.length, uid=r.group), r.score, r.components)
        for r in replies(*groups)
    ]
    step = hybrid(filter={}).run(batch)
    assert step.dropped[:8] == [False] * 4 + [True] * 4
    per_group = [step.dropped[i : i + 4] for i in range(8, len(batch), 4)]
    assert all(len(set(own)) == 1 for own in per_group)
    assert 0.15 < sum(not own[0] for own in per_group) / 200 < 0.35
    assert step.metrics["filter/dropped"] == pytest.approx(sum(step.dropped) / len(step.dropped))
    assert step.metrics["filter/no_signal"] == pytest.approx(1 / 202)
    assert hybrid(filter={}).run(batch[::-1]).dropped == step.dropped[::-1]
    assert step.advantages == hybrid().run(batch).advantages
    assert not any(hybrid().run(batch).dropped)
    assert not any(hybrid(filter={"keep_all_correct": 1.0, "epsilon": 0.0}).run(batch).dropped)


def test_without_modulators_all_correct_groups_stay_as_far_as_they_have_signal():
    plain = Hybrid(suite_of(accuracy={}), AdvantageConfig.model_validate({"filter": {"keep_all_correct": 0.0}}))
    graded, equal = [(1.0, 5), (0.6, 5), (0.7, 5), (0.8, 5)], [(1.0, 5)] * 4
    assert plain.run(replies(graded, equal)).dropped == [False] * 4 + [True] * 4


def test_a_group_of_one_gets_zero():
    assert hybrid().run(replies([(1.0, 5)], [(0.0, 5)])).advantages == [0.0, 0.0]


def test_refusal_figures_where_prompts_cannot_be_answered():
    gold = "unanswerable: the picture is blank"
    batch = [
        told("a", 0, "The picture is blank. answer: unanswerable: the picture is blank", gold, 1.0, "adversarial"),
        told("a", 1, "answer: unanswerable: there is no dog in the picture", gold, 0.3, "adversarial"),
        told("a", 2, "answer: red", gold, -1.0, "adversarial"),
        told("a", 3, "hm", gold, 0.0, "adversarial"),
        told("b", 0, "answer: red", "red", 1.0),
        told("b", 1, "answer: unanswerable: the picture is blank", "red", -0.25),
        told("b", 2, "answer: blue", "red", 0.0),
        told("b", 3, "answer: none", "none", 1.0),
    ]
    figures = Hybrid(suite_of(accuracy={}), AdvantageConfig()).run(batch).metrics
    assert {name: value for name, value in figures.items() if name.startswith("refusal/")} == {
        "refusal/unanswerable": 0.5,
        "refusal/refused": 0.5,
        "refusal/right_reason": 0.25,
        "refusal/fabricated": 0.25,
        "refusal/false": 0.25,
    }
    assert not any(name.startswith("refusal/") for name in hybrid().run(replies(MIXED)).metrics)


def test_shares_and_order_of_every_component():
    suite = suite_of(
        accuracy={"weight": 3.0}, overlong={"weight": 1.0, "options": {"limit": 20, "soft": 10}}, format={}
    )
    rows = [(1.0, 1.0, 1.0), (1.0, 0.0, 1.0), (0.0, 1.0, 1.0), (1.0, 1.0, 0.0)]
    batch = [
        ScoredReply("g", i, Rollout("t", "t"), (3 * a + o) / 4 * f, {"accuracy": a, "overlong": o, "format": f})
        for i, (a, o, f) in enumerate(rows)
    ]
    config = {"name": "dr_grpo"}
    step = Hybrid(suite, AdvantageConfig.model_validate(config)).run(batch)
    full = [1.0, 0.75, 0.25, 0.0]
    assert step.advantages == pytest.approx([r - 0.5 for r in full])

    def share(without: list[float]) -> float:
        mean = sum(without) / 4
        return sum(abs((r - 0.5) - (w - mean)) for r, w in zip(full, without, strict=True)) / 1.5

    assert step.metrics["advantage/share/accuracy"] == pytest.approx(share([0.25, 0.0, 0.25, 0.0]))
    assert step.metrics["advantage/share/overlong"] == pytest.approx(share([0.75, 0.75, 0.0, 0.0]))
    assert step.metrics["advantage/share/format"] == pytest.approx(share([1.0, 0.75, 0.25, 1.0]))
    # accuracy orders three pairs; the gate turns that of the last reply with the wrong one around.
    assert step.metrics["reward/accuracy/order_violations"] == pytest.approx(1 / 3)
    assert step.metrics["reward/overlong/order_violations"] == pytest.approx(2 / 3)
    assert step.metrics["reward/format/order_violations"] == 0.0


def test_sums_of_components_see_gates_and_penalties_as_components():
    suite = suite_of(accuracy={}, format={"weight": 0.5}, conciseness={"weight": 0.2, "options": {"budget": 10}})
    batch = [
        ScoredReply("g", i, Rollout("t", "t", length=n), a * f, {"accuracy": a, "format": f})
        for i, (a, f, n) in enumerate([(1.0, 1.0, 5), (1.0, 1.0, 15), (1.0, 0.0, 5), (0.0, 1.0, 5)])
    ]
    config = AdvantageConfig.model_validate({"name": "reward_sum", "options": {"norm_by_std": False}})
    sums = [1.5, 1.5 - 0.2 * 0.5, 1.0, 0.5]  # half of the replies are correct
    step = Hybrid(suite, config).run(batch)
    assert step.advantages == pytest.approx([s - sum(sums) / 4 for s in sums])
    assert 0 < step.metrics["advantage/share/conciseness"] < step.metrics["advantage/share/accuracy"]
    gdpo = Hybrid(suite, AdvantageConfig(name="gdpo")).run(batch)
    assert sum(a * r.rollout.length for a, r in zip(gdpo.advantages, batch, strict=True)) == pytest.approx(0.0)


def test_option_values_are_tried_before_anything_is_generated():
    with pytest.raises(ValueError, match="advantage 'modulated', options .*normalise must be 'none' or 'group_std'"):
        hybrid(options={"normalise": "std"})


def test_unusable_scores_and_advantages_stop_the_step():
    with pytest.raises(RolloutError, match="there are no replies"):
        hybrid().run([])
    with pytest.raises(RolloutError, match="reply 1 to prompt '0-1' has the score nan"):
        hybrid().run(replies([(1.0, 5), (math.nan, 5)]))
    with pytest.raises(RolloutError, match="has the score inf"):
        hybrid().run(replies([(1.0, 5), (math.inf, 5)]))


def test_an_advantage_of_the_wrong_shape_is_named(monkeypatch):
    own = hybrid(k=2)
    monkeypatch.setattr(
        "mindgpt_plugins.advantage.call.get_registered", lambda *_: lambda groups, **_: groups.raw[:, :1] / 0
    )
    with pytest.raises(
        AdvantageError, match=r"advantage 'modulated' returned \(1, 1\) with 1 values that are not finite"
    ):
        own.run(replies([(1.0, 5), (0.0, 5)]))
